/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libbus1 - the bus1 system calls with their long argument lists, and a receive
 * pool that grows by itself
 *
 * Every function that returns int gives 0 (bus1_open() a descriptor) or -1 with
 * errno set, as the C library does. Each may fail with
 *
 *	ENOSYS		the running kernel has no bus1
 *	EBADF		the descriptor is not open, or is not a bus1 peer
 *	EINVAL		a flag that is not known
 *	ESHUTDOWN	the peer was disconnected
 *	EFAULT		a pointer that cannot be read or written
 *	ENOMEM		the caller's memory is used up
 *
 * which the functions below do not repeat; they name the errors of their own.
 *
 * The library has no threads, no globals and no constructors. All functions may
 * be called from several threads at once, but for those that take a struct
 * bus1_pool: one thread at a time for each pool.
 */
#ifndef BUS1_H
#define BUS1_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "bus1-abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * bus1_supported() - whether the running kernel has bus1
 *
 * Makes no peer and changes nothing.
 *
 * Return: 1, or 0 with errno set: ENOSYS if the kernel has no bus1, or what a
 * seccomp filter, or a kernel that has other calls at these numbers, answers.
 */
int bus1_supported(void);

/**
 * bus1_open() - make a peer with the system's default limits
 * @flags:	0 or BUS1_OPEN_NONBLOCK
 *
 * The peer has the identity of the caller at this moment, whoever holds the
 * descriptor later.
 *
 * Return: a descriptor, close-on-exec, that the caller owns, or -1.
 *
 *	EACCES		a security module refused
 *	EMFILE, ENFILE	no descriptor is left, in the process or in the system
 *	ENOSPC		the user has too many peers, or no room left for the limits
 *			of this one: bus1_limits_explain() tells which sysctl it is
 */
int bus1_open(unsigned int flags);

/**
 * bus1_open_limits() - make a peer with limits of its own
 * @max_slices:		messages, queued or received and not yet released
 * @max_handles:	handles, own nodes and those in unread messages included
 * @max_inflight_bytes:	bytes in all these messages
 * @max_inflight_fds:	file descriptors in unread messages
 * @flags:		0 or BUS1_OPEN_NONBLOCK
 *
 * Each limit may be BUS1_LIMIT_KEEP for the system's default. They are reserved from
 * what the user may have until the peer is closed.
 *
 * Return: as bus1_open(), and
 *
 *	EINVAL		a limit above INT_MAX
 */
int bus1_open_limits(uint64_t max_slices, uint64_t max_handles,
		     uint64_t max_inflight_bytes, uint64_t max_inflight_fds,
		     unsigned int flags);

/**
 * bus1_limits_explain() - why there is no room for the limits of a peer
 * @fd:			-1 for a peer that could not be opened or adopted; or a peer
 *			of the caller's user that could not be reset
 * @max_slices:		as in bus1_open_limits(), or in bus1_peer_reset();
 *			BUS1_LIMIT_KEEP for all of them after bus1_open()
 * @max_handles:	likewise
 * @max_inflight_bytes:	likewise
 * @max_inflight_fds:	likewise
 *
 * To be called when that failed with ENOSPC. It opens peers with each of the limits
 * and closes them again, so it tells what stands in the way now. What the user has
 * reserved is in /proc/self/fdinfo of each of its peers, at bus1-reserved.
 *
 * Return: the name of the sysctl, as sysctl(8) knows it: user.max_bus1_peers or one
 * of kernel.bus1; it need not be freed. NULL with errno set: 0 if there is room now,
 * else what kept this from finding out, as from bus1_open() or bus1_peer_query().
 */
const char *bus1_limits_explain(int fd, uint64_t max_slices,
				uint64_t max_handles,
				uint64_t max_inflight_bytes,
				uint64_t max_inflight_fds);

/**
 * bus1_peer_disconnect() - end a peer for everybody who holds it
 * @fd:		the peer
 * @flags:	0
 *
 * Drops all it has, destroys its nodes and wakes whoever waits on it. The
 * descriptor stays open and has to be closed.
 */
int bus1_peer_disconnect(int fd, unsigned int flags);

/**
 * bus1_peer_query() - what a peer may use and what it uses
 * @fd:		the peer
 * @info:	filled in
 * @flags:	0
 */
int bus1_peer_query(int fd, struct bus1_peer_info *info, unsigned int flags);

/**
 * bus1_peer_reset() - change the limits of a peer, or flush it
 * @fd:			the peer
 * @max_slices:		as in bus1_open_limits(); BUS1_LIMIT_KEEP: unchanged
 * @max_handles:	likewise
 * @max_inflight_bytes:	likewise
 * @max_inflight_fds:	likewise
 * @flags:		BUS1_RESET_FLUSH drops slices, handles, messages and
 *			nodes; BUS1_RESET_FLUSH_SEED drops the seed;
 *			BUS1_RESET_ADOPT, with both, gives the peer the
 *			caller's identity
 *
 * A limit below what is used takes nothing away. After BUS1_RESET_FLUSH no
 * message received before may be read or released.
 *
 *	ENOSPC		the user has no room for the limits, and nothing has
 *			changed; with BUS1_RESET_ADOPT the caller has none for one
 *			more peer with these limits, and the peer was flushed
 *	EINVAL		a limit above INT_MAX; BUS1_RESET_ADOPT alone
 *	EBUSY		BUS1_RESET_ADOPT while something is still charged to
 *			the peer
 */
int bus1_peer_reset(int fd, uint64_t max_slices, uint64_t max_handles,
		    uint64_t max_inflight_bytes, uint64_t max_inflight_fds,
		    unsigned int flags);

/**
 * bus1_handle_transfer() - give handles to another peer that one holds
 * @src_fd:	the peer that has the handles
 * @dst_fd:	the peer that gets them; may be the same
 * @src:	@n handle IDs of @src_fd; with BUS1_HANDLE_FLAG_NEW in one, a
 *		node of that ID is made
 * @dst:	@n handle IDs of @dst_fd, written; BUS1_HANDLE_INVALID for a
 *		node that is dead
 * @n:		how many, at most BUS1_HANDLE_MAX
 * @flags:	0
 *
 * All or nothing. Each ID in @dst is one reference, to be given back with
 * bus1_handle_release().
 *
 *	EEXIST		a node that is to be made exists already
 *	EMSGSIZE	@n is too large
 *	ENOBUFS		one of the two peers, or its user, has no room for a
 *			handle
 *	ENXIO		@src_fd has no such handle
 */
int bus1_handle_transfer(int src_fd, int dst_fd, const uint64_t *src,
			 uint64_t *dst, size_t n, unsigned int flags);

/**
 * bus1_handle_release() - give back one reference of each handle
 * @fd:		the peer
 * @handles:	@n handle IDs
 * @n:		how many, at most BUS1_HANDLE_MAX
 * @flags:	0
 *
 * All or nothing. Every appearance of a handle, in a received message or in a
 * transfer, is one reference that somebody has to give back.
 *
 *	EBUSY		the last reference of the owner to a node that lives
 *	EMSGSIZE	@n is too large
 *	ENOTUNIQ	the same handle twice
 *	ENXIO		no such handle
 */
int bus1_handle_release(int fd, const uint64_t *handles, size_t n,
			unsigned int flags);

/**
 * bus1_node_destroy() - destroy nodes
 * @fd:		the peer that owns them
 * @nodes:	@n node IDs
 * @n:		how many, at most BUS1_HANDLE_MAX
 * @flags:	BUS1_DESTROY_RELEASE_HANDLES also gives back the owner's own
 *		reference, and the owner is then not notified
 *
 * All or nothing, and one event each, in array order. Messages that were sent before are still
 * delivered, so memory behind a node is free to go when the owner has received
 * BUS1_MSG_NODE_DESTROY for it, and not when this returns.
 *
 *	EMSGSIZE	@n is too large
 *	ENOTUNIQ	the same node twice
 *	ENXIO		no such handle
 *	EREMOTE		a node of another peer
 *	ESTALE		a node that was destroyed already
 */
int bus1_node_destroy(int fd, const uint64_t *nodes, size_t n,
		       unsigned int flags);

/**
 * bus1_slice_release() - give back the memory of received messages
 * @fd:		the peer
 * @offsets:	@n offsets, as received
 * @n:		how many, at most BUS1_HANDLE_MAX
 * @flags:	0
 *
 * All or nothing. Handles and descriptors of the messages are not touched.
 *
 *	EMSGSIZE	@n is too large
 *	ENOTUNIQ	the same slice twice
 *	ENXIO		no such slice
 */
int bus1_slice_release(int fd, const uint64_t *offsets, size_t n,
		       unsigned int flags);

/**
 * bus1_send() - send one message to one or more nodes
 * @fd:		the peer that sends
 * @dests:	@n_dests handle IDs: where to
 * @n_dests:	how many, at most BUS1_DEST_MAX; 0 only with BUS1_SEND_SEED
 * @vecs:	@n_vecs pieces that make up the payload
 * @n_vecs:	how many, at most BUS1_VEC_MAX
 * @handles:	@n_handles handle IDs to pass along; the sender keeps its own
 * @n_handles:	how many, at most BUS1_HANDLE_MAX
 * @fds:	@n_fds descriptors to pass along; they are duplicated, and the
 *		sender keeps its own
 * @n_fds:	how many, at most BUS1_FD_MAX
 * @flags:	BUS1_SEND_CONTINUE skips destinations that refuse;
 *		BUS1_SEND_SEED makes the message the peer's own seed.
 *		BUS1_SEND_HANDLES and BUS1_SEND_FDS are set here as needed
 *
 * Never waits for a receiver: EDQUOT and EXFULL say that there is no room now,
 * and a program that sends much counts what its receiver has not answered yet.
 * All or nothing but for BUS1_SEND_CONTINUE.
 *
 *	EACCES		a security module refused
 *	EDQUOT		the sender's share of a receiver is used up
 *	EEXIST		a node that is to be made exists already
 *	EHOSTUNREACH	a destination, or its owner, is gone
 *	EINVAL		no destination; flags that exclude each other
 *	EMSGSIZE	more than the maxima, or than even an empty receiver
 *			takes
 *	ENOBUFS		the limits of the sending peer
 *	ENOTUNIQ	the same destination twice
 *	ENXIO		no such handle
 *	EOPNOTSUPP	a descriptor of a kind that cannot be passed: bus1
 *			peers, AF_UNIX sockets, io_uring
 *	ETOOMANYREFS	too many descriptors of this user are on their way
 *	EXFULL		a receiver is full whoever sends
 */
int bus1_send(int fd, const uint64_t *dests, size_t n_dests,
	      const struct iovec *vecs, size_t n_vecs,
	      const uint64_t *handles, size_t n_handles,
	      const int *fds, size_t n_fds, unsigned int flags);

/**
 * bus1_send_errors() - bus1_send() that says which destination refused
 * @fd:		as bus1_send()
 * @dests:	as bus1_send()
 * @n_dests:	as bus1_send()
 * @vecs:	as bus1_send()
 * @n_vecs:	as bus1_send()
 * @handles:	as bus1_send()
 * @n_handles:	as bus1_send()
 * @fds:	as bus1_send()
 * @n_fds:	as bus1_send()
 * @errors:	@n_dests numbers, written on success and on failure as soon as
 *		the destinations were found: 0, or the negative errno of a
 *		destination that is itself the cause
 * @flags:	as bus1_send()
 */
int bus1_send_errors(int fd, const uint64_t *dests, size_t n_dests,
		     const struct iovec *vecs, size_t n_vecs,
		     const uint64_t *handles, size_t n_handles,
		     const int *fds, size_t n_fds,
		     int32_t *errors, unsigned int flags);

/**
 * struct bus1_payload - what goes into a message; all 0: nothing
 * @vecs:	@n_vecs pieces that make up the payload
 * @n_vecs:	how many, at most BUS1_VEC_MAX
 * @handles:	@n_handles handle IDs to pass along; the sender keeps its own,
 *		but for a reply handle, which moves
 * @n_handles:	how many, at most BUS1_HANDLE_MAX
 * @fds:	@n_fds descriptors to pass along; they are duplicated
 * @n_fds:	how many, at most BUS1_FD_MAX
 */
struct bus1_payload {
	const struct iovec *vecs;
	size_t n_vecs;
	const uint64_t *handles;
	size_t n_handles;
	const int *fds;
	size_t n_fds;
};

/**
 * struct bus1_request - a message that asks for a reply, and pays for it
 * @destination:	handle ID: where to
 * @payload:		what it says
 * @reply_id:		names the request until the reply, or the notice that
 *			there will be none, is received; a multiple of 8 that
 *			the peer does not use yet, the address of an object for
 *			example
 * @reply_max_bytes:	the most bytes that the reply may have
 * @reply_max_handles:	the most handles
 * @reply_max_fds:	the most descriptors
 *
 * The maxima, one message and one handle are charged to the peer that asks when
 * it asks. So a reply within the maxima cannot fail for want of room.
 */
struct bus1_request {
	uint64_t destination;
	struct bus1_payload payload;
	uint64_t reply_id;
	uint64_t reply_max_bytes;
	uint64_t reply_max_handles;
	uint64_t reply_max_fds;
};

/**
 * bus1_send_request() - send a message with a prepaid reply, and do not wait
 * @fd:		the peer that asks
 * @request:	the message and what the reply may take
 * @flags:	0
 *
 * The receiver finds the right to reply in @reply of its message. Exactly one of
 * two things comes back, with @request->reply_id as its destination: the reply,
 * BUS1_MSG_DATA; or BUS1_MSG_REPLY_DROPPED, when the right to reply was released
 * unused or its holder is gone. It is received like any message, or with
 * bus1_pool_wait_reply().
 *
 * bus1_node_destroy() of @request->reply_id cancels: nothing comes then, and the
 * ID can be used again at once. ESTALE there: it was too late, and what has come
 * is to be received.
 *
 *	errors of bus1_send(), and
 *	EEXIST		@request->reply_id is in use
 *	EINVAL		it is no multiple of 8; the destination is itself a
 *			reply handle
 *	EMSGSIZE	the maxima are larger than any message
 *	ENOBUFS		the limits of the peer have no room for the reply
 */
int bus1_send_request(int fd, const struct bus1_request *request,
		      unsigned int flags);

/**
 * bus1_recv() - receive the next message or notice
 * @fd:		the peer
 * @args:	see <linux/bus1.h>; its type aligns it to 8 bytes
 * @flags:	BUS1_RECV_SEED, BUS1_RECV_INSTALL_FDS, BUS1_RECV_NONBLOCK,
 *		BUS1_RECV_RELEASE; BUS1_RECV_REPLY waits only for the reply to
 *		the request that @args->reply_id names
 *
 * The bare call, for who maps the pool alone; bus1_pool_recv() and
 * bus1_pool_wait_reply() do the rest. Whatever fails leaves the message where it
 * was.
 *
 *	EAGAIN		nothing is there, and it should not wait
 *	EBUSY		BUS1_RECV_REPLY: another thread waits for that reply
 *	EINTR		a signal
 *	EMFILE, ENFILE	no room for the descriptors that came along
 *	ENOBUFS		BUS1_RECV_SEED: the limits of the peer
 *	ENXIO		BUS1_RECV_RELEASE: no such slice; BUS1_RECV_REPLY: no
 *			such request, or its reply was received already
 *	ERANGE		the message lies behind @args->max_offset
 *	ESTALE		BUS1_RECV_REPLY: the request was cancelled meanwhile
 *	ETIMEDOUT	the deadline has passed
 */
int bus1_recv(int fd, struct bus1_recv_args *args, unsigned int flags);

/**
 * bus1_call() - send and receive in one entry to the kernel
 * @fd:		the peer
 * @send:	what to send, see <linux/bus1.h>
 * @recv:	how to receive, and what was received
 * @flags:	BUS1_CALL(flags of send, flags of receive), BUS1_SEND_HANDLES
 *		and BUS1_SEND_FDS included
 *
 * The bare call, for who maps the pool alone; bus1_pool_call() and
 * bus1_pool_reply_recv() do the rest. With BUS1_SEND_REPLY it waits for the reply
 * to this request and for nothing else: the client's call. Without it, it
 * receives the next message: the server's reply and wait.
 *
 * Return: -1 if nothing was sent, but for EINTR, and 0 once it was. How the receive
 * ended is in @recv->error then: 0, or a negative errno of bus1_recv(). With
 * BUS1_RECV_RELEASE the slice is looked up before and released after what is sent
 * was copied, so that one can send from it.
 *
 *	errors of bus1_send() and bus1_send_request(), and
 *	EINTR		it was sent, and a signal handler ran during the wait, also
 *			one with SA_RESTART
 *	EINVAL		BUS1_SEND_SEED, BUS1_RECV_SEED or BUS1_RECV_REPLY
 *	ENXIO		BUS1_RECV_RELEASE: no such slice
 */
int bus1_call(int fd, const struct bus1_send_args *send,
	      struct bus1_recv_args *recv, unsigned int flags);

/**
 * struct bus1_pool - the mapped pool of one peer
 *
 * Nothing is mapped until the first message. When a message lies behind what is
 * mapped, the pool is mapped again, at least twice as long, and the older
 * mapping stays until bus1_pool_free(): a pointer into a message is good until
 * the message is released, whatever arrives meanwhile. The older mappings cost
 * address space, less than the newest one has, and no memory.
 */
struct bus1_pool;

/**
 * struct bus1_msg - a received message
 * @type:	one of enum bus1_msg_type
 * @flags:	BUS1_MSG_FLAG_*
 * @destination: the node or handle that the message or notice is about
 * @reply:	the right to reply, once, or BUS1_HANDLE_INVALID
 * @offset:	names the slice that the message lies in; BUS1_OFFSET_INVALID
 *		when there is none to release
 * @payload:	@n_bytes bytes, aligned to 8, read-only; NULL if 0
 * @n_bytes:	length of the payload in bytes
 * @handles:	@n_handles handle IDs; NULL if 0
 * @n_handles:	how many
 * @fds:	@n_fds descriptors; NULL if 0; each -1 if it was not
 *		installed
 * @n_fds:	how many
 * @sender_pid:	process of the sending peer's identity, 0 if not visible here
 * @sender_uid:	its effective user ID
 * @sender_gid:	its effective group ID
 * @reserved:	0, room for what later versions give
 * @buffer:	a small message itself; not to be looked at
 *
 * A small message lies in @buffer (BUS1_MSG_FLAG_INLINE), any other in a slice of the
 * pool, and payload, handles and fds are pointers to there. So the struct is not to
 * be copied: what is in the copy would still be in this one.
 *
 * Four things come with a message, and each is given back by itself. The slice, if
 * there is one: bus1_msg_release(), which may always be called. One
 * reference for every handle: bus1_handle_release(). The descriptors: close().
 * The right to reply: by a reply, or by bus1_handle_release(), and then the other
 * side is told that none will come. bus1_msg_discard() gives back all of them.
 */
struct bus1_msg {
	uint64_t type;
	uint64_t flags;
	uint64_t destination;
	uint64_t reply;
	uint64_t offset;
	const void *payload;
	size_t n_bytes;
	const uint64_t *handles;
	size_t n_handles;
	const int *fds;
	size_t n_fds;
	pid_t sender_pid;
	uid_t sender_uid;
	gid_t sender_gid;
	uint64_t reserved[4];
	uint64_t buffer[BUS1_INLINE_MAX / 8] __attribute__((aligned(8)));
};

/** BUS1_MSG_INIT - a message with nothing in it to release or to reply to */
#define BUS1_MSG_INIT \
	{ BUS1_MSG_NONE, 0, BUS1_HANDLE_INVALID, BUS1_HANDLE_INVALID, \
	  BUS1_OFFSET_INVALID, NULL, 0, NULL, 0, NULL, 0, 0, 0, 0, \
	  { 0, 0, 0, 0 }, { 0 } }

/**
 * bus1_pool_new() - prepare to map the pool of a peer
 * @fd:		the peer; borrowed, to be kept open until bus1_pool_free()
 *
 * Several pools of one peer are fine, one for each thread that receives.
 *
 * Return: the pool, for bus1_pool_free(), or NULL with errno ENOMEM.
 */
struct bus1_pool *bus1_pool_new(int fd);

/**
 * bus1_pool_free() - unmap a pool
 * @pool:	the pool, or NULL
 *
 * Pointers into messages end here. Messages not yet released stay charged to
 * the peer. The descriptor is not closed. errno is kept.
 */
void bus1_pool_free(struct bus1_pool *pool);

/**
 * bus1_pool_recv() - receive the next message or notice as pointers
 * @pool:	the pool
 * @msg:	filled in; with BUS1_RECV_RELEASE it holds an earlier message,
 *		whose slice is released in the same call
 * @deadline:	CLOCK_MONOTONIC in nanoseconds, absolute; 0: none
 * @flags:	as bus1_recv(), but for BUS1_RECV_REPLY
 *
 * Maps more of the pool as needed. On failure @msg is BUS1_MSG_NONE, but for
 * EIO, and its @offset still names an earlier message that was not released.
 *
 *	errors of bus1_recv() but for ERANGE, and
 *	EIO		the payload could not be read back from swap. The
 *			message is received without it: @type, @destination,
 *			@reply and the sender are there, nothing else
 *	ENOMEM		no address space to map the message; it stays queued
 */
int bus1_pool_recv(struct bus1_pool *pool, struct bus1_msg *msg,
		   uint64_t deadline, unsigned int flags);

/**
 * bus1_earlier_fn - takes a message that a reply has overtaken
 * @pool:	the pool that the call was made with
 * @msg:	a message, a notice, or the reply to another request; what came
 *		with it is now the function's. BUS1_MSG_DATA with neither a slice
 *		nor BUS1_MSG_FLAG_INLINE: its payload was lost (EIO)
 * @context:	as given to the call
 *
 * It may use the pool, and make calls of its own: a call inside hands over the
 * earlier messages first, those that the call outside still had to, and the one
 * outside goes on behind them. It must return, and must not free the pool.
 *
 * Return: 0, or anything else to leave the rest in the queue.
 */
typedef int (*bus1_earlier_fn)(struct bus1_pool *pool, struct bus1_msg *msg,
			       void *context);

/** BUS1_POOL_OVERTAKE - a flag of the library: earlier messages stay queued */
#define BUS1_POOL_OVERTAKE (1U << 31)

/**
 * bus1_pool_call() - send a request and wait for its reply
 * @pool:	the pool
 * @msg:	filled in with the reply, or with BUS1_MSG_REPLY_DROPPED: look at
 *		its @type. With BUS1_RECV_RELEASE it holds an earlier message,
 *		whose slice is released in the same call
 * @request:	the message and what the reply may take
 * @earlier:	gets what the reply has overtaken
 * @context:	handed to @earlier
 * @deadline:	CLOCK_MONOTONIC in nanoseconds, absolute; 0: none
 * @flags:	BUS1_RECV_INSTALL_FDS, BUS1_RECV_NONBLOCK, BUS1_RECV_RELEASE,
 *		BUS1_POOL_OVERTAKE
 *
 * Waits for this reply alone. When it has come, every message that was queued
 * before it is handed to @earlier, in order, and only then does this return: who
 * reads a property sees the signals that were sent before it was read. Where an
 * earlier notice was withdrawn, or another thread has received an earlier
 * message, a later one may be handed over, or up to a tenth of a second pass in
 * waiting for one that is not there. With BUS1_POOL_OVERTAKE all of them stay in the queue, and @earlier may be
 * NULL. BUS1_MSG_FLAG_OVERTOOK in @msg->flags says that there are earlier ones
 * left: because of the flag, because @earlier ended it, or because one cannot be
 * received at the moment (EMFILE, ENOMEM).
 *
 * Several threads that share a peer, each with a pool of its own, each get their
 * own reply. What one has overtaken another may receive first, so threads that do
 * not care who takes a signal say BUS1_POOL_OVERTAKE.
 *
 * The request is sent once, whatever happens. On failure @msg is BUS1_MSG_NONE,
 * but for EIO, and its @destination tells: BUS1_HANDLE_INVALID, nothing was sent;
 * @request->reply_id, the request was sent, and is not to be sent again. Then bus1_pool_wait_reply() goes on
 * waiting, bus1_node_destroy() cancels, and who does neither will receive the
 * reply like any message.
 *
 * Nothing was sent:
 *	errors of bus1_send_request()
 *	EINVAL		no @earlier, and no BUS1_POOL_OVERTAKE
 *	ENXIO		BUS1_RECV_RELEASE: no such slice
 *
 * The request stands:
 *	EAGAIN		no reply yet, and it should not wait: by its flags, or
 *			by O_NONBLOCK of the peer
 *	EINTR		a signal
 *	EMFILE, ENFILE	no room for the descriptors that came along
 *	ENOMEM		no address space to map the reply
 *	ESHUTDOWN	the peer was disconnected; no reply will come
 *	ESTALE		the request was cancelled; no reply will come
 *	ETIMEDOUT	the deadline has passed
 *
 * The reply was received, without its payload:
 *	EIO		as bus1_pool_recv()
 */
int bus1_pool_call(struct bus1_pool *pool, struct bus1_msg *msg,
		   const struct bus1_request *request,
		   bus1_earlier_fn earlier, void *context,
		   uint64_t deadline, unsigned int flags);

/**
 * bus1_pool_wait_reply() - wait for the reply to a request that was sent
 * @pool:	the pool
 * @msg:	as bus1_pool_call()
 * @reply_id:	names the request
 * @earlier:	as bus1_pool_call()
 * @context:	as bus1_pool_call()
 * @deadline:	as bus1_pool_call()
 * @flags:	as bus1_pool_call()
 *
 * For requests of bus1_send_request(), and for those of bus1_pool_call() whose
 * wait has ended. A reply that is queued already is fetched from its place. On
 * failure @msg is as after bus1_pool_call() when the request was sent: its
 * @destination is @reply_id, whatever failed.
 *
 *	errors of bus1_pool_call() where the request stands, and
 *	EBUSY		another thread waits for that reply
 *	EINVAL		no @earlier, and no BUS1_POOL_OVERTAKE
 *	ENXIO		no such request, or its reply was received already;
 *			BUS1_RECV_RELEASE: no such slice
 */
int bus1_pool_wait_reply(struct bus1_pool *pool, struct bus1_msg *msg,
			 uint64_t reply_id, bus1_earlier_fn earlier,
			 void *context, uint64_t deadline, unsigned int flags);

/**
 * bus1_pool_reply_recv() - reply to a request and receive the next message
 * @pool:	the pool
 * @msg:	the request, as received; its slice is released, and it is filled
 *		in with the next message. BUS1_MSG_INIT the first time. When
 *		there is nothing to reply to, this only receives
 * @payload:	the reply, or NULL for an empty one; it may lie in the request's
 *		own slice, and handles in it may create nodes
 * @deadline:	CLOCK_MONOTONIC in nanoseconds, absolute; 0: none
 * @flags:	BUS1_RECV_INSTALL_FDS, BUS1_RECV_NONBLOCK
 *
 * A server is a loop around this. Handles and descriptors of the request stay
 * with the caller, who has released them before or has copied them.
 *
 * On failure @msg->reply tells. If it is still there the reply was not sent, and
 * @msg is as it was: another reply can be sent, or bus1_msg_discard() ends it,
 * which is all that can be done for a requester that is gone. If it is
 * BUS1_HANDLE_INVALID, the reply was sent, or there was none to send, and @msg
 * is as after bus1_pool_recv().
 *
 * The reply was not sent:
 *	EHOSTUNREACH	the requester has cancelled, or is gone
 *	EMSGSIZE	the reply is larger than the requester has paid for
 *	EDQUOT, EXFULL	never: that was paid for
 *	other errors of bus1_send()
 *
 * The reply was sent:
 *	errors of bus1_pool_recv()
 */
int bus1_pool_reply_recv(struct bus1_pool *pool, struct bus1_msg *msg,
			 const struct bus1_payload *payload,
			 uint64_t deadline, unsigned int flags);

/**
 * bus1_msg_reply() - reply to a request, and receive nothing
 * @pool:	the pool it was received from
 * @msg:	the request; on success its @reply becomes BUS1_HANDLE_INVALID
 * @payload:	the reply, or NULL for an empty one
 *
 * The slice is not released. The right to reply can also be handed on: as a handle
 * in a message, or with bus1_handle_transfer(), it moves. Who does that sets
 * @msg->reply to BUS1_HANDLE_INVALID, as this does.
 *
 *	errors of bus1_pool_reply_recv() where the reply was not sent, and
 *	EINVAL		@msg is no request, or has been replied to
 */
int bus1_msg_reply(struct bus1_pool *pool, struct bus1_msg *msg,
		   const struct bus1_payload *payload);

/**
 * bus1_msg_release() - give back the slice of a message
 * @pool:	the pool it was received from
 * @msg:	the message; its pointers become NULL, all else can still be read
 *
 * Its handles and descriptors stay with the caller, who has copied what it
 * wants to keep. Does nothing for a notice, a small message, or one released before.
 *
 *	ENXIO		no such slice, as after BUS1_RESET_FLUSH
 */
int bus1_msg_release(struct bus1_pool *pool, struct bus1_msg *msg);

/**
 * bus1_msg_discard() - give back everything that came with a message
 * @pool:	the pool it was received from
 * @msg:	the message, as received
 *
 * Closes its descriptors, releases one reference of each handle, the right to
 * reply if it was not used, then the slice. Does all of it, whatever fails
 * meanwhile, and reports what failed first.
 *
 *	errors of bus1_handle_release() and bus1_msg_release()
 */
int bus1_msg_discard(struct bus1_pool *pool, struct bus1_msg *msg);

#ifdef __cplusplus
}
#endif

#endif /* BUS1_H */
