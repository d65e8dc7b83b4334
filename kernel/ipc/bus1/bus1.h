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
 *	a message that has paid for a reply; its sender knows it by an ID of its
 *	own choosing
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
 *	a user, seen as the holder of a part of a receiver's resources
 *
 * The rooms, from the bottom up. A file includes headers of its own room and of lower
 * floors only, and calls no function of a higher one; scripts/check-layers of the
 * repository checks that::
 *
 *	1	limits		numbers and masks
 *	2	queue		order of entries
 *		pool		receive memory (pool.c) and its slices (slice.c)
 *		quota		limits and shares
 *	3	peer		participants: their locks, who they are, waking (peer.c);
 *				a transaction, which anybody can finish (tx.c)
 *	4	object		nodes (node.c) and handles (handle.c)
 *	5	reply		prepaid replies, and who waits for them
 *	6	message		messages
 *	7	lookup		what a call names
 *		release		releasing of slices and handles
 *	8	commit		the commit of a message to its destinations
 *	9	destroy		destruction of nodes, cancelling of requests
 *	10	recv		taking the entry in front, waiting (recv.c); handing a
 *				message to its receiver (deliver.c)
 *	11	send		the steps of a send (send.c), its payload (payload.c), the
 *				replies that it asks for and moves (request.c)
 *		transfer	giving handles from peer to peer
 *		teardown	emptying a peer: disconnect and reset
 *	12	file		the file descriptor
 *	13	syscalls	user memory; caches and sysctls
 */

/**
 * DOC: locking
 *
 * From the outside in:
 *
 * 1. &struct bus1_peer.local, a mutex: serialises a peer's own calls on its handles, its
 *    seed and its published slices. A send holds it from the look-up to the commit. Of
 *    two peers' mutexes the second is only tried for, and nobody takes more than two.
 * 2. The memory-management locks that writing into a pool takes (page locks,
 *    reclaim). No lock of bus1 is taken under them.
 * 3. &struct bus1_peer.data, a spin lock: protects what other peers touch. Two of
 *    these are never held at once.
 * 4. The locks of the scheduler, under which a blocked receiver is woken, and
 *    ucounts_lock. They are leaves. So are the locks of wait queues, which are taken with
 *    none of the above held but @local.
 *
 * User memory is touched with page faults on only while none of these is held.
 *
 * No wait crosses peers: a call that is held up by a transaction, a destruction or a
 * cancellation that somebody else began finishes it (tx.c, commit.c, destroy.c). So it
 * does not matter whether the author gets the processor. All that a call waits for is
 * the mutex of its own peer, and messages.
 */

#endif /* _BUS1_H */
