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
 * notice
 *	an entry in a queue that is no message: a node was destroyed, or nobody
 *	refers to it any more
 * place
 *	where an event stands in the order that all peers agree on
 * claimant
 *	a user, as somebody who holds a part of a receiver's resources
 *
 * Rooms, from the bottom; a file includes headers of its own layer's room and of
 * lower layers only (the owner of a room is the file of its name)::
 *
 *	0	limits		numbers and masks
 *	1	queue		order of entries
 *		pool		receive memory
 *		quota		limits and shares
 *		ident		who a peer is
 *	2	space		what a peer is to nodes and handles
 *		object		nodes and handles
 *		name		handle IDs that a call names
 *		message		messages
 *	3	peer		participants
 *	4	tx		stage, fix, sync, commit
 *		destroy		destruction of nodes, in one event
 *		leg		the commit of a message to its destinations
 *		send		the steps of a send before that
 *		recv		taking one entry
 *		transfer	giving handles from peer to peer
 *		teardown	emptying a peer: disconnect and reset
 *	5	file		the file descriptor
 *		syscalls	user memory
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
 * 4. &struct bus1_space.waitq's lock, ucounts_lock, and the wait table of
 *    wake_up_var(), each a leaf.
 *
 * User memory is only touched with page faults on while none of these is held.
 *
 * Three waits cross peers, each for a bounded number of steps of somebody who
 * waits for nothing but spin locks meanwhile: a destroyer waits for messages
 * between stage and commit (destroy.c); a peer that goes down waits for those
 * and for its own sends' commits (teardown.c); and whoever wants a reference to
 * a dying node, or was refused by one, waits for its destruction (object.c,
 * send.c). Who waits for a destruction has nothing staged.
 */

#endif /* _BUS1_H */
