/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bus1: prepaid replies
 */
#ifndef _BUS1_REPLY_H
#define _BUS1_REPLY_H

#include "object.h"

struct bus1_message;

/**
 * enum bus1_reply_state - life of a reply
 * @BUS1_REPLY_OPEN:	it may come
 * @BUS1_REPLY_ANSWERED: it came, and waits to be received
 * @BUS1_REPLY_DROPPED:	it will not come, and the notice of that waits to be
 *			received
 * @BUS1_REPLY_CANCELLING: the requester does not want it any more; its holder is
 *			about to be told
 * @BUS1_REPLY_CANCELLED: cancelled, or not asked for after all
 * @BUS1_REPLY_RECEIVED: received
 */
enum bus1_reply_state {
	BUS1_REPLY_OPEN,
	BUS1_REPLY_ANSWERED,
	BUS1_REPLY_DROPPED,
	BUS1_REPLY_CANCELLING,
	BUS1_REPLY_CANCELLED,
	BUS1_REPLY_RECEIVED,
};

/**
 * struct bus1_await - a thread that waits for one reply
 * @reply:	the reply, referenced; NULL once it is received
 * @task:	the thread; constant
 *
 * Lives on the stack of the thread, and is registered in &struct
 * bus1_reply.await.
 */
struct bus1_await {
	struct bus1_reply *reply;
	struct task_struct *task;
};

/**
 * struct bus1_reply - what a request is answered through
 * @ref:	keeps the memory: one while it is in &struct bus1_peer.awaited, one
 *		for the peer or message that has the reply handle, one for @await, one
 *		for a message that is about to move it. The requester's @data
 * @requester:	the peer that asked, referenced; also while the memory is kept for the
 *		next request; constant
 * @id:		the requester's name for it; constant
 * @max_bytes:	how long the payload of the reply may be; constant
 * @max_handles: how many handles it may carry; constant
 * @max_fds:	how many descriptors; constant
 * @rb_awaited:	links it into &struct bus1_peer.awaited of the requester; the
 *		requester's @local
 * @awaited_marked: whether the call that holds the requester's @local has seen it
 *		before; false whenever that lock is not held
 * @state:	one of enum bus1_reply_state; written under the requester's
 *		@data
 * @holder:	the peer that has the handle, or is to get it with the request; NULL when
 *		nobody has it. The requester's @data
 * @move:	the transaction that moves the handle, referenced, until somebody
 *		notes how it ended; or NULL. The requester's @data
 * @target:	where @move moves it; the requester's @data
 * @filling:	whether the holder is writing the reply; the requester's @data
 * @message:	memory and charge for the reply, then the reply, until it is
 *		received; the requester's @data, but for its contents, which
 *		belong to the holder while @filling
 * @charged:	whether the request's one handle is charged to the requester, see
 *		settle_charge_locked(); the requester's @data
 * @await:	the thread that waits for it, or NULL; the requester's @data
 * @handed:	whether what came was handed to @await past the queue; the
 *		requester's @data
 * @place:	place of what came; the requester's @data
 * @rb_owed:	links it into &struct bus1_peer.owed while its holder has an ID
 *		for it; the holder's @local
 * @moved:	links it into &struct bus1_message.moved; belongs to whoever that message
 *		belongs to
 * @index:	where it stands among the handles of that message
 * @handle:	the holder's ID; the holder's @local
 * @marked:	whether the call that holds the holder's @local has seen it
 *		before; false whenever that lock is not held
 * @gone:	whether nobody has the handle any more; the last holder's @data
 * @noticed:	whether its holder was told that it is cancelled; the holder's @data
 * @size:	how many bytes of the pool what came takes; the requester's @data
 * @entry:	what came, in the requester's queue; or the notice that it was
 *		cancelled, in the holder's. That peer's @data
 */
struct bus1_reply {
	struct bus1_peer *requester;
	unsigned int ref;
	enum bus1_reply_state state;
	u64 id;
	struct bus1_message *message;
	struct bus1_await *await;
	struct bus1_peer *holder;
	struct bus1_tx *move;
	bool filling;
	bool charged;
	bool handed;
	bool marked;
	bool awaited_marked;
	bool gone;
	bool noticed;
	struct bus1_place place;
	u64 size;
	u64 max_bytes;
	u32 max_handles;
	u32 max_fds;
	struct rb_node rb_awaited;
	struct rb_node rb_owed;
	u64 handle;
	struct bus1_peer *target;
	u32 index;
	struct list_head moved;
	struct bus1_entry entry;
};

void bus1_reply_cache_init(void);

struct bus1_reply *bus1_reply_take_locked(struct bus1_peer *requester);
struct bus1_reply *bus1_reply_new(struct bus1_peer *requester);
void bus1_reply_init(struct bus1_reply *reply, u64 id);
void bus1_reply_free(struct bus1_reply *reply);
void bus1_reply_put(struct bus1_reply *reply);

struct bus1_reply *bus1_reply_find_awaited(struct bus1_peer *peer, u64 id);
struct bus1_reply *bus1_reply_find_owed(struct bus1_peer *peer, u64 id);
struct bus1_reply *bus1_reply_awaited_after(struct bus1_peer *peer, u64 id);
void bus1_reply_expect(struct bus1_reply *reply);
struct bus1_reply *bus1_reply_forget_locked(struct bus1_reply *reply);
void bus1_reply_forget(struct bus1_reply *reply);

int bus1_reply_move(struct bus1_reply *reply, struct bus1_tx *tx,
		    struct bus1_peer *to);
void bus1_reply_note_move(struct bus1_reply *reply, struct bus1_tx *tx);
void bus1_reply_end_move(struct bus1_reply *reply, struct bus1_tx *tx);
void bus1_reply_arrive_locked(struct bus1_reply *reply,
			      enum bus1_reply_state state, u64 size);
void bus1_reply_cancelled_locked(struct bus1_reply *reply);
struct bus1_reply *bus1_reply_received_locked(struct bus1_reply *reply,
					      enum bus1_reply_state state);
u32 bus1_reply_overtakes_locked(const struct bus1_reply *reply);
struct bus1_reply *bus1_reply_leave_locked(struct bus1_await *await, bool *wake);

void bus1_reply_show(struct bus1_reply *reply, struct bus1_peer *holder);
void bus1_reply_link(struct bus1_reply *reply, struct bus1_peer *holder);
void bus1_reply_unlink(struct bus1_reply *reply, struct bus1_peer *holder);
struct bus1_message *bus1_reply_drop_locked(struct bus1_reply *reply);
void bus1_reply_leave_holder(struct bus1_reply *reply,
			     struct bus1_peer *holder);

/**
 * bus1_reply_of() - the reply that an entry is embedded in
 * @entry:	entry of type BUS1_ENTRY_REPLY or BUS1_ENTRY_CANCELLED
 *
 * Return: the reply.
 */
static inline struct bus1_reply *bus1_reply_of(struct bus1_entry *entry)
{
	return container_of(entry, struct bus1_reply, entry);
}

/**
 * bus1_reply_is_open() - whether a reply may come
 * @reply:	reply whose requester's @data is held
 *
 * Return: true if it may.
 */
static inline bool bus1_reply_is_open(const struct bus1_reply *reply)
{
	return reply->state == BUS1_REPLY_OPEN;
}

/**
 * bus1_reply_register_locked() - a thread is going to wait for a reply
 * @reply:	reply that no thread waits for; either its requester's @data is held, or
 *		nobody knows it yet
 * @await:	the calling thread
 */
static inline void bus1_reply_register_locked(struct bus1_reply *reply,
					      struct bus1_await *await)
{
	reply->await = await;
	reply->ref++;
	await->reply = reply;
}

/**
 * bus1_reply_put_locked() - put a reference to a reply's memory
 * @reply:	reply whose requester's @data is held
 *
 * The memory of one reply stays with the requester, which is likely to ask again.
 *
 * Return: what the caller is to pass to bus1_reply_free() without that lock, or NULL.
 */
static inline struct bus1_reply *bus1_reply_put_locked(struct bus1_reply *reply)
{
	struct bus1_peer *requester = reply->requester;

	lockdep_assert_held(&requester->data);

	if (--reply->ref)
		return NULL;
	/* One that was cancelled was another kind of entry. */
	if (requester->spare_reply || requester->down ||
	    reply->entry.type != BUS1_ENTRY_REPLY)
		return reply;
	requester->spare_reply = reply;
	return NULL;
}

#endif /* _BUS1_REPLY_H */
