/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * bus1 - capability-based interprocess communication
 *
 * A peer owns nodes, a message queue and a memory pool. Nodes are what
 * messages are sent to; holding a handle is the permission to send. Handles
 * travel in messages. See Documentation/userspace-api/bus1.rst.
 *
 * All structs are extensible by size: a caller passes the size it was built
 * with. Version 0 is the smallest that a kernel accepts. Pointers are 64 bits,
 * every member is naturally aligned, and the layout is the same for 32-bit and
 * 64-bit callers. The structs must be aligned to 8 bytes.
 */
#ifndef _UAPI_LINUX_BUS1_H
#define _UAPI_LINUX_BUS1_H

#include <linux/types.h>

/**
 * DOC: handle IDs
 *
 * A handle ID is 64 bits wide and means something inside one peer only.
 *
 * BUS1_HANDLE_FLAG_MANAGED
 *	The kernel chose this ID. It is never used again in the life of the
 *	peer.
 * BUS1_HANDLE_FLAG_REMOTE
 *	The node belongs to another peer.
 * BUS1_HANDLE_FLAG_NEW
 *	In a call that uses a handle: create this node. Not part of the ID.
 * BUS1_HANDLE_FLAG_REPLY
 *	With MANAGED: a reply handle, which is gone once it is used.
 *
 * An owner names its own nodes with any value whose three lowest bits are
 * clear, the address of an 8-byte aligned object for example.
 */
#define BUS1_HANDLE_FLAG_MANAGED	(1ULL << 0)
#define BUS1_HANDLE_FLAG_REMOTE		(1ULL << 1)
#define BUS1_HANDLE_FLAG_NEW		(1ULL << 2)
#define BUS1_HANDLE_FLAG_REPLY		(1ULL << 3)

/**
 * BUS1_HANDLE_INVALID - stands where a handle was, of a node that is dead or of a
 * request that was cancelled
 */
#define BUS1_HANDLE_INVALID		((__u64)-1)
/** BUS1_OFFSET_INVALID - the offset of no slice */
#define BUS1_OFFSET_INVALID		((__u64)-1)
/** BUS1_LIMIT_KEEP - keep this limit (reset), take the default (open) */
#define BUS1_LIMIT_KEEP			((__u64)-1)

/** BUS1_FD_MAX - the most file descriptors in one message */
#define BUS1_FD_MAX			253
/** BUS1_VEC_MAX - the most I/O vectors in one message */
#define BUS1_VEC_MAX			1024
/** BUS1_DEST_MAX - the most destinations of one message */
#define BUS1_DEST_MAX			1024
/** BUS1_HANDLE_MAX - the most handles in one message, or in one array */
#define BUS1_HANDLE_MAX			1024
/**
 * BUS1_INLINE_MAX - the most that can be received into a buffer
 *
 * Payload padded to 8 bytes, 8 per handle, 4 per descriptor. A buffer of this size
 * takes every message that is not larger.
 */
#define BUS1_INLINE_MAX			256

/* bus1_open() */
/** BUS1_OPEN_NONBLOCK - set O_NONBLOCK on the new file description */
#define BUS1_OPEN_NONBLOCK		(1U << 0)

/* bus1_peer_reset() */
/** BUS1_RESET_FLUSH - drop slices, handles, messages and nodes */
#define BUS1_RESET_FLUSH		(1U << 0)
/** BUS1_RESET_FLUSH_SEED - drop the seed */
#define BUS1_RESET_FLUSH_SEED		(1U << 1)
/** BUS1_RESET_ADOPT - take the caller's identity; needs both flushes */
#define BUS1_RESET_ADOPT		(1U << 2)

/* bus1_node_destroy() */
/** BUS1_DESTROY_RELEASE_HANDLES - also drop the owner's own reference */
#define BUS1_DESTROY_RELEASE_HANDLES	(1U << 0)

/* bus1_send(); flags of send and of receive stay below bit 16 */
/** BUS1_SEND_CONTINUE - skip destinations that refuse, or cannot be one */
#define BUS1_SEND_CONTINUE		(1U << 0)
/** BUS1_SEND_SEED - make this message the seed of the sending peer */
#define BUS1_SEND_SEED			(1U << 1)
/** BUS1_SEND_REPLY - ask for a reply, and pay for it now */
#define BUS1_SEND_REPLY			(1U << 2)
/** BUS1_SEND_HANDLES - the message carries handles */
#define BUS1_SEND_HANDLES		(1U << 3)
/** BUS1_SEND_FDS - the message carries file descriptors */
#define BUS1_SEND_FDS			(1U << 4)

/* bus1_recv() */
/** BUS1_RECV_SEED - read the seed rather than the queue */
#define BUS1_RECV_SEED			(1U << 0)
/** BUS1_RECV_INSTALL_FDS - install the descriptors that came along */
#define BUS1_RECV_INSTALL_FDS		(1U << 1)
/** BUS1_RECV_NONBLOCK - do not wait */
#define BUS1_RECV_NONBLOCK		(1U << 2)
/** BUS1_RECV_RELEASE - release the slice at @release first */
#define BUS1_RECV_RELEASE		(1U << 3)
/** BUS1_RECV_PIDFD - give a pidfd of the sender (reserved: EINVAL) */
#define BUS1_RECV_PIDFD			(1U << 4)
/** BUS1_RECV_REPLY - wait for the reply that @reply_id names, only */
#define BUS1_RECV_REPLY			(1U << 5)

/**
 * BUS1_CALL - the flags of bus1_call()
 * @send_flags:	those of send
 * @recv_flags:	those of receive
 *
 * A flag that does not fit makes all of it invalid (EINVAL).
 */
#define BUS1_CALL(send_flags, recv_flags) \
	((((__u32)(send_flags) | (__u32)(recv_flags)) >> 16) ? ~(__u32)0 : \
	 ((__u32)(send_flags) | ((__u32)(recv_flags) << 16)))

/**
 * enum bus1_msg_type - what bus1_recv() returned
 * @BUS1_MSG_NONE:		nothing
 * @BUS1_MSG_DATA:		a message
 * @BUS1_MSG_NODE_DESTROY:	the node that @destination names was destroyed
 * @BUS1_MSG_NODE_RELEASE:	nobody but its owner holds @destination any more
 * @BUS1_MSG_REPLY_DROPPED:	the reply to the request @destination will not
 *				come
 */
enum bus1_msg_type {
	BUS1_MSG_NONE,
	BUS1_MSG_DATA,
	BUS1_MSG_NODE_DESTROY,
	BUS1_MSG_NODE_RELEASE,
	BUS1_MSG_REPLY_DROPPED,
};

/** BUS1_MSG_FLAG_MORE - the next entry belongs to the same multicast */
#define BUS1_MSG_FLAG_MORE		(1ULL << 0)
/**
 * BUS1_MSG_FLAG_OVERTOOK - this reply overtook earlier messages
 *
 * It was handed to a call that waited for it, or fetched by its ID, while
 * entries in front of it were queued or being committed. They are still there,
 * in their order; bus1_recv_args.n_overtaken says how many.
 */
#define BUS1_MSG_FLAG_OVERTOOK		(1ULL << 1)
/**
 * BUS1_MSG_FLAG_INLINE - the message is in the buffer of the receive
 *
 * It lies there as it would in a slice, there is no slice, and nothing to release.
 */
#define BUS1_MSG_FLAG_INLINE		(1ULL << 2)

/**
 * struct bus1_peer_limits - what a peer may use
 * @max_slices:		slices of the pool, queued messages included
 * @max_handles:	handles, own nodes, requests and unread messages included
 * @max_inflight_bytes:	bytes of all these slices
 * @max_inflight_fds:	file descriptors in unread messages
 *
 * Each is BUS1_LIMIT_KEEP or at most INT_MAX. They are reserved from what the peer's
 * user may have, until the peer is closed.
 */
struct bus1_peer_limits {
	__aligned_u64 max_slices;
	__aligned_u64 max_handles;
	__aligned_u64 max_inflight_bytes;
	__aligned_u64 max_inflight_fds;
};

/** BUS1_PEER_LIMITS_SIZE_VER0 - size of the first version */
#define BUS1_PEER_LIMITS_SIZE_VER0	32

/**
 * struct bus1_peer_info - the state of a peer
 * @max_slices:		limit on slices
 * @max_handles:	limit on handles
 * @max_inflight_bytes:	limit on bytes in slices
 * @max_inflight_fds:	limit on descriptors in unread messages
 * @used_slices:	slices in use
 * @used_handles:	handles in use
 * @used_inflight_bytes: bytes in use
 * @used_inflight_fds:	descriptors in unread messages
 * @id:			a random number to tell the peer from others by
 * @n_nodes:		nodes this peer owns that are alive
 * @n_handles:		handles this peer has an ID for, its own and reply handles
 *			included
 * @n_queued:		messages and notices that wait to be received
 * @n_sent:		deliveries made by this peer, one per destination
 * @n_received:		messages and notices received
 *
 * Of each resource the larger of limit and use is reserved from the user's.
 */
struct bus1_peer_info {
	__aligned_u64 max_slices;
	__aligned_u64 max_handles;
	__aligned_u64 max_inflight_bytes;
	__aligned_u64 max_inflight_fds;
	__aligned_u64 used_slices;
	__aligned_u64 used_handles;
	__aligned_u64 used_inflight_bytes;
	__aligned_u64 used_inflight_fds;
	__aligned_u64 id;
	__aligned_u64 n_nodes;
	__aligned_u64 n_handles;
	__aligned_u64 n_queued;
	__aligned_u64 n_sent;
	__aligned_u64 n_received;
};

/** BUS1_PEER_INFO_SIZE_VER0 - size of the first version */
#define BUS1_PEER_INFO_SIZE_VER0	112

/**
 * struct bus1_send_args - a message to send
 * @ptr_destinations:	array of handle IDs (__u64)
 * @n_destinations:	how many
 * @ptr_errors:		0, or an array of __s32, one per destination, written by
 *			the call
 * @ptr_vecs:		array of struct iovec: the payload
 * @n_vecs:		how many
 * @ptr_handles:	array of handle IDs (__u64) to pass along
 * @n_handles:		how many; not 0 exactly with BUS1_SEND_HANDLES
 * @ptr_fds:		array of int: file descriptors to pass along
 * @n_fds:		how many; not 0 exactly with BUS1_SEND_FDS
 * @reply_id:		names the request until its reply, or the notice that it
 *			will not come, is received: an ID of the caller's
 *			choosing, its three lowest bits clear (else EINVAL), that
 *			is in use for nothing (else EEXIST)
 * @reply_max_bytes:	the most bytes of payload that the reply may have
 * @reply_max_handles:	the most handles; at most BUS1_HANDLE_MAX
 * @reply_max_fds:	the most file descriptors; at most BUS1_FD_MAX
 *
 * The last four are for BUS1_SEND_REPLY, and 0 without it (else EINVAL). What a
 * reply of that size takes, its slice and the handle that stands for the request
 * included, is charged to the sending peer by the send (else ENOBUFS); what was
 * not used is given back when the reply comes.
 */
struct bus1_send_args {
	__aligned_u64 ptr_destinations;
	__aligned_u64 n_destinations;
	__aligned_u64 ptr_errors;
	__aligned_u64 ptr_vecs;
	__aligned_u64 n_vecs;
	__aligned_u64 ptr_handles;
	__aligned_u64 n_handles;
	__aligned_u64 ptr_fds;
	__aligned_u64 n_fds;
	__aligned_u64 reply_id;
	__aligned_u64 reply_max_bytes;
	__aligned_u64 reply_max_handles;
	__aligned_u64 reply_max_fds;
};

/** BUS1_SEND_ARGS_SIZE_VER0 - size of the first version */
#define BUS1_SEND_ARGS_SIZE_VER0	104

/**
 * struct bus1_recv_args - how to receive, and what was received
 * @max_offset:		in: how many bytes of the pool the caller has mapped
 * @deadline:		in: CLOCK_MONOTONIC nanoseconds, 0 for none
 * @ptr_buffer:		in: 0, or where a message is to be copied that takes at
 *			most @buffer_size and BUS1_INLINE_MAX bytes; aligned to 8
 * @buffer_size:	in: how many bytes there are
 * @reply_id:		in: with BUS1_RECV_REPLY the request whose reply to wait
 *			for
 * @release:		in: with BUS1_RECV_RELEASE the slice to release;
 *			out: BUS1_OFFSET_INVALID
 * @destination:	out: the ID of the node or handle this is about; of a
 *			reply, or the notice of none, the reply_id
 * @type:		out: one of enum bus1_msg_type; stored last
 * @flags:		out: BUS1_MSG_FLAG_*
 * @offset:		out: where in the pool the slice lies; BUS1_OFFSET_INVALID
 *			with BUS1_MSG_FLAG_INLINE
 * @n_bytes:		out: length of the payload
 * @n_handles:		out: number of handle IDs (__u64) behind the payload,
 *			which is padded to 8 bytes
 * @n_fds:		out: number of descriptors (int) behind the handles
 * @reply:		out: handle that takes one reply, within what the sender
 *			has paid for, and is gone then; BUS1_HANDLE_INVALID if
 *			the sender did not ask for one
 * @sender_pid:		out: thread group of the sending peer's identity, 0 once
 *			that process is reaped
 * @sender_uid:		out: its effective user ID
 * @sender_gid:		out: its effective group ID
 * @sender_pidfd:	out: -1
 * @error:		out: how the receive half of bus1_call() ended: 0 or a
 *			negative errno of bus1_recv(); 0 by bus1_recv()
 * @n_overtaken:	out: with BUS1_MSG_FLAG_OVERTOOK how many earlier entries were
 *			in front, above 64 how many were queued in all; else 0
 *
 * Inputs are not written, @release apart: the struct can be used again as it is.
 * The buffer is written before @type, and may be written by a call that fails.
 */
struct bus1_recv_args {
	__aligned_u64 max_offset;
	__aligned_u64 deadline;
	__aligned_u64 ptr_buffer;
	__aligned_u64 buffer_size;
	__aligned_u64 reply_id;
	__aligned_u64 release;
	__aligned_u64 destination;
	__aligned_u64 type;
	__aligned_u64 flags;
	__aligned_u64 offset;
	__aligned_u64 n_bytes;
	__aligned_u64 n_handles;
	__aligned_u64 n_fds;
	__aligned_u64 reply;
	__s32 sender_pid;
	__u32 sender_uid;
	__u32 sender_gid;
	__s32 sender_pidfd;
	__s32 error;
	__u32 n_overtaken;
};

/** BUS1_RECV_ARGS_SIZE_VER0 - size of the first version */
#define BUS1_RECV_ARGS_SIZE_VER0	136

#endif /* _UAPI_LINUX_BUS1_H */
