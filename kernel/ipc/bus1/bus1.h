/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: overview. No code.
 */
#ifndef _BUS1_H
#define _BUS1_H

/**
 * DOC: overview
 *
 * bus1 is interprocess communication in which holding a reference is the
 * permission.
 *
 * peer
 *	a participant: one file description with a queue, a pool of receive
 *	memory, nodes and handles
 * node
 *	what messages are sent to; belongs to the peer that created it
 * handle
 *	a peer's reference to a node: the only way to name it
 * message
 *	bytes, handles and files to one node; a multicast is several messages
 *	in one transaction
 * slice
 *	the part of the receiver's pool that a message lies in
 * request
 *	a message that has paid for a reply: to its sender an ID of its own
 *	choosing
 * reply
 *	what becomes of a request: one message back, or a notice that none will
 *	come, or neither if the requester does not want it any more
 * reply handle
 *	the right to send that message, at one place at any time: it moves, and
 *	is gone once it is used
 * notice
 *	an entry in a queue that is no message: a node was destroyed, or nobody
 *	refers to it any more, or a reply will not come
 * place
 *	where an event stands in the order that all peers agree on
 * claimant
 *	a user, as somebody who holds a part of a receiver's resources
 *
 * Rooms, from the bottom; a file includes headers of its own room and of lower
 * layers only, which scripts/check-layers of the repository checks::
 *
 *	1	limits		numbers and masks
 *	2	queue		order of entries
 *		pool		receive memory
 *		quota		limits and shares
 *	3	slice		the slices of a pool
 *		ident		who a peer is
 *	4	space		what a peer is to nodes, handles and replies
 *		tx		a transaction, which anybody can finish
 *	5	object		nodes and handles
 *	6	attach		how a peer becomes a holder of a node
 *	7	reply		prepaid replies, and who waits for them
 *	8	message		messages
 *	9	name		handle IDs that a call names
 *	10	peer		participants
 *	11	commit		the commit of a message to its destinations
 *		deliver		handing one message to its receiver
 *	12	destroy		destruction of nodes, cancelling of requests
 *	13	ask		asking for a reply
 *		answer		answering a request
 *	14	job		what a send is to do
 *	15	fill		filling the messages of a send
 *	16	send		the steps of any send
 *		recv		taking the entry in front
 *		transfer	giving handles from peer to peer
 *	17	await		waiting for one reply
 *		teardown	emptying a peer: disconnect and reset
 *	18	file		the file descriptor
 *	19	args		arguments of system calls
 *	20	syscalls	user memory
 *		init		caches and sysctls
 */

/**
 * DOC: locking
 *
 * From the outside in:
 *
 * 1. &struct bus1_space.local, a mutex: a peer's own calls on its handles, its
 *    seed and its published slices. The second of two is only tried
 *    for, and nobody takes more than two.
 * 2. The memory-management locks that writing into a pool takes (page locks,
 *    reclaim). Nothing of bus1 is taken below them.
 * 3. &struct bus1_space.data, a spin lock: what other peers touch. Never two.
 * 4. The locks of the scheduler, which a blocked receiver is woken under, and, with none of
 *    the above but @local, those of wait queues, ucounts_lock and the wait table of
 *    wake_up_var(), each a leaf.
 *
 * User memory is only touched with page faults on while none of these is held.
 *
 * No wait crosses peers: whoever is held up by a transaction, a destruction or a
 * cancellation that somebody else began finishes it (tx.c, commit.c, destroy.c). Nothing of
 * it depends on who began it having the processor.
 *
 * One wait does not cross peers: whoever wants a reply handle that another call of the
 * same peer has claimed waits for that call to use it, move it or give it back
 * (send.c, peer.c); a flush does, too, when it is done (teardown.c).
 * Nothing is claimed, locked or staged meanwhile; and a claim is given back before
 * user memory is waited for.
 */

#endif /* _BUS1_H */
