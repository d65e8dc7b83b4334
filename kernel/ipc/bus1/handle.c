// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: handles
 */

/**
 * DOC: attaching
 *
 * The sender of a handle takes the reference for the receiver, which may not have had
 * one. This usually takes a few steps under one lock, that of the node's owner. They may
 * need memory that the receiver's cgroup pays for, and it is usually there: a peer keeps
 * the memory of the last handle that it dropped (&struct bus1_peer.spare_handle).
 *
 * Many tasks may take from that place and put there at the same time, holding locks of
 * other peers or none. They exchange its contents, so each gets what was in it, alone.
 */

#include <linux/rbtree.h>
#include <linux/slab.h>

#include "object.h"

static struct kmem_cache *handle_cache;

/**
 * bus1_handle_cache_init() - make the cache of handles
 */
void __init bus1_handle_cache_init(void)
{
	handle_cache = kmem_cache_create("bus1_handle",
					 sizeof(struct bus1_handle), 0,
					 SLAB_ACCOUNT | SLAB_PANIC, NULL);
}

/**
 * bus1_handle_after() - find the handle with the next higher ID
 * @peer:	peer whose @local is held
 * @id:		lower bound, inclusive
 *
 * Return: the handle with the lowest ID that is at least @id, or NULL.
 */
struct bus1_handle *bus1_handle_after(struct bus1_peer *peer, u64 id)
{
	struct rb_node *rb = peer->handles.rb_node;
	struct bus1_handle *handle, *found = NULL;

	lockdep_assert_held(&peer->local);

	while (rb) {
		handle = rb_entry(rb, struct bus1_handle, rb_id);
		if (handle->id >= id) {
			found = handle;
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return found;
}

/**
 * bus1_handle_link() - let a peer find a handle by its ID
 * @handle:	handle that has an ID; its holder's @local is held
 */
void bus1_handle_link(struct bus1_handle *handle)
{
	struct rb_node **link = &handle->holder->handles.rb_node;
	struct rb_node *parent = NULL;

	lockdep_assert_held(&handle->holder->local);

	while (*link) {
		parent = *link;
		if (handle->id <
		    rb_entry(parent, struct bus1_handle, rb_id)->id)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&handle->rb_id, parent, link);
	rb_insert_color(&handle->rb_id, &handle->holder->handles);
}

static struct bus1_handle *take_spare(struct bus1_peer *holder)
{
	return READ_ONCE(holder->spare_handle) ?
	       xchg(&holder->spare_handle, NULL) : NULL;
}

/**
 * bus1_handle_free_memory() - free the memory of a handle
 * @handle:	handle
 */
void bus1_handle_free_memory(struct bus1_handle *handle)
{
	kmem_cache_free(handle_cache, handle);
}

/* Finds the handle of a holder; or, if there is none, where to link one. */
static __always_inline struct bus1_handle *
find_holder(struct bus1_node *node, struct bus1_peer *holder,
	    struct rb_node **parent, struct rb_node ***link)
{
	struct bus1_handle *handle;

	*parent = NULL;
	*link = &node->holders.rb_node;
	while (**link) {
		*parent = **link;
		handle = rb_entry(*parent, struct bus1_handle, rb_holder);
		if (holder == handle->holder)
			return handle;
		*link = holder < handle->holder ? &(*parent)->rb_left :
						  &(*parent)->rb_right;
	}
	return NULL;
}

/* Returns -EBUSY if the node is not live. */
static __always_inline int
take_handle(struct bus1_node *node, struct bus1_peer *holder,
	    struct bus1_handle **spare, struct bus1_handle **taken)
{
	struct rb_node *parent, **link;
	struct bus1_handle *handle;

	*taken = NULL;
	if (unlikely(!bus1_node_is_live(node)))
		return -EBUSY;

	handle = find_holder(node, holder, &parent, &link);
	if (!handle) {
		handle = *spare ?: take_spare(holder);
		if (!handle)
			return -ENOMEM;
		*spare = NULL;
		handle->node = bus1_node_get(node);
		handle->holder = holder;
		handle->step = BUS1_STEP_NEW;
		rb_link_node(&handle->rb_holder, parent, link);
		rb_insert_color(&handle->rb_holder, &node->holders);
	}
	/* The owner's handle is embedded in the node: its first reference pins it. */
	if (!handle->n_refs++ && bus1_handle_is_own(handle))
		bus1_node_get(node);
	node->n_refs++;
	if (bus1_entry_queued(&node->released))
		bus1_queue_remove(&node->owner->queue, &node->released);
	*taken = handle;
	return 0;
}

static int alloc_handle(gfp_t gfp, bool keep, struct bus1_handle **handle)
{
	*handle = gfp ? kmem_cache_alloc(handle_cache, gfp) : NULL;
	if (!*handle)
		return -ENOMEM;
	bus1_handle_init(*handle);
	(*handle)->keep = keep;
	return 0;
}

/* Continues after take_handle() has returned @err. */
static noinline int
attach_slowly(struct bus1_node *node, struct bus1_peer *holder, gfp_t gfp,
	      bool keep, struct bus1_handle **handle, int err)
{
	struct bus1_handle *spare = NULL;

	if (err == -ENOMEM)
		err = alloc_handle(gfp, keep, &spare);
	if (spare) {
		spin_lock(&node->owner->data);
		err = take_handle(node, holder, &spare, handle);
		spin_unlock(&node->owner->data);
	}
	if (err == -EBUSY) {
		bus1_node_help(node);
		/* The node's end comes before whatever its would-be holder gets next. */
		bus1_node_sync(node, holder);
		err = 0;
	}
	if (spare)
		bus1_handle_keep_memory(spare, holder);
	return err;
}

/**
 * bus1_handle_attach() - take a reference for a holder
 * @node:	node that the caller has a reference to, which lasts
 * @holder:	peer that is to hold it
 * @gfp:	how to allocate the handle if the holder has none yet, and no memory
 *		for one; 0 for not at all
 * @keep:	whether what is allocated is charged to @holder's cgroup
 * @handle:	the handle with one more reference, or NULL if the node is dead
 *
 * It carries out a destruction that is under way.
 *
 * Return: 0 or -ENOMEM.
 */
int bus1_handle_attach(struct bus1_node *node, struct bus1_peer *holder, gfp_t gfp,
		       bool keep, struct bus1_handle **handle)
{
	struct bus1_peer *owner = node->owner;
	struct bus1_handle *none = NULL;
	int err;

	spin_lock(&owner->data);
	err = take_handle(node, holder, &none, handle);
	spin_unlock(&owner->data);
	if (likely(!err))
		return 0;
	return attach_slowly(node, holder, gfp, keep, handle, err);
}

static void withdraw_notice(struct bus1_handle *handle)
{
	struct bus1_peer *holder = handle->holder;

	spin_lock(&holder->data);
	if (bus1_entry_queued(&handle->destroyed))
		bus1_queue_remove(&holder->queue, &handle->destroyed);
	spin_unlock(&holder->data);
}

/**
 * bus1_handle_free() - free a zombie
 * @handle:	handle that is in no tree and no list
 *
 * The memory does not stay with the holder, which may have been adopted since it
 * dropped the handle.
 */
void bus1_handle_free(struct bus1_handle *handle)
{
	withdraw_notice(handle);
	bus1_node_put(handle->node);
	bus1_peer_put(handle->holder);
	bus1_handle_free_memory(handle);
}

/*
 * The memory stays with the holder. The caller that drops the last reference has the
 * holder's local lock, or a message that is charged to it, so the holder's cgroup stays
 * the same meanwhile. Only a reply that is thrown away unread may drop one later.
 */
static __always_inline void recycle_handle(struct bus1_handle *handle)
{
	struct bus1_node *node = handle->node;

	bus1_handle_keep_memory(handle, handle->holder);
	bus1_node_put(node);
}

/*
 * Returns true if that was the handle's last reference. Then the caller frees the handle,
 * or, if it is the owner's, puts the reference that it held on its node.
 */
static __always_inline bool drop_refs_locked(struct bus1_handle *handle, u64 n)
{
	struct bus1_node *node = handle->node;

	lockdep_assert_held(&node->owner->data);

	handle->n_refs -= n;
	if (handle->n_refs)
		return false;
	if (bus1_handle_is_own(handle)) {
		bus1_node_leave_locked(node);
		return true;
	}
	if (!bus1_node_is_live(node) &&
	    refcount_read(&node->tx.walkers)) {
		bus1_peer_get(handle->holder);
		hlist_add_head(&handle->zombie, &node->zombies);
		return false;
	}
	rb_erase(&handle->rb_holder, &node->holders);
	return true;
}

static __always_inline void drop_refs(struct bus1_handle *handle, u64 n)
{
	struct bus1_node *node = handle->node;
	struct bus1_peer *owner = node->owner;
	bool own = bus1_handle_is_own(handle);
	bool notify, gone, noticed;

	if (!n)
		return;

	spin_lock(&owner->data);
	gone = drop_refs_locked(handle, n);
	/* A destruction that begins later does not find this holder any more. */
	noticed = !bus1_node_is_live(node);
	notify = bus1_node_unref_locked(node, n);
	/* Unless that was the handle's last one, others may free the node from now on. */
	spin_unlock(&owner->data);

	if (!gone)
		return;
	/* A node's last reference is also the last of a handle, which keeps the owner. */
	if (notify)
		bus1_peer_wake(owner);
	if (own) {
		bus1_node_put(node);
		return;
	}
	if (noticed)
		withdraw_notice(handle);
	recycle_handle(handle);
}

/**
 * bus1_handle_drop() - drop references that are not in a count
 * @handle:	handle, may be gone afterwards
 * @n:		how many
 */
void bus1_handle_drop(struct bus1_handle *handle, u64 n)
{
	drop_refs(handle, n);
}

/* Whether a handle that is not shown missed the notice of its node's end. */
static bool missed_death_locked(const struct bus1_handle *handle)
{
	return handle->step >= BUS1_STEP_MOVED &&
	       !bus1_entry_queued(&handle->destroyed);
}

/* The notice of the node's end comes again, for the holder that is shown it now. */
static void repeat_notice_locked(struct bus1_handle *handle)
{
	struct bus1_peer *holder = handle->holder;
	struct bus1_place place = bus1_tx_get_place(handle->destroyed.tx);

	bus1_queue_insert(&holder->queue, &handle->destroyed, &place);
	bus1_peer_wake_locked(holder);
}

/* A handle that is new to its holder takes over a charge. */
static __always_inline void count_locked(struct bus1_handle *handle,
					 struct bus1_claim *claim)
{
	lockdep_assert_held(&handle->holder->data);

	if (handle->n_user++)
		return;
	handle->claim = claim;
	handle->charged = true;
	handle->holder->n_handles++;
}

static void choose_id(struct bus1_handle *handle)
{
	handle->id = bus1_peer_next_id(handle->holder) |
		     BUS1_HANDLE_FLAG_MANAGED | BUS1_HANDLE_FLAG_REMOTE;
	bus1_handle_link(handle);
}

/**
 * bus1_handle_show() - turn a reference into one of the holder's count
 * @handle:	handle whose holder's @local is held
 * @claim:	claim that one handle is charged under
 * @placed:	whether it comes in a message that is placed before its node's end
 * @kept:	incremented if the handle is new to its holder and keeps the charge
 *
 * The node may have been destroyed since the reference was taken, and the notice skipped
 * because the count was still 0. A message that has a place, which is a reply that
 * overtook, shows the handle all the same, and the notice comes after it. A transfer or
 * a seed has no place: then the handle must not be shown any more.
 *
 * Return: the ID under which the holder knows the handle; or BUS1_HANDLE_INVALID,
 * and the reference is still one to be dropped.
 */
u64 bus1_handle_show(struct bus1_handle *handle, struct bus1_claim *claim,
		     bool placed, u32 *kept)
{
	struct bus1_peer *holder = handle->holder;
	bool missed, new, again;

	lockdep_assert_held(&holder->local);

	spin_lock(&holder->data);
	new = !handle->n_user;
	missed = new && missed_death_locked(handle);
	again = missed && placed;
	if (unlikely(again))
		repeat_notice_locked(handle);
	if (likely(!missed || again))
		count_locked(handle, claim);
	spin_unlock(&holder->data);

	if (unlikely(again))
		bus1_peer_wake_pollers(holder);
	else if (unlikely(missed))
		return BUS1_HANDLE_INVALID;
	*kept += new;
	if (new && !bus1_handle_is_own(handle))
		choose_id(handle);
	return handle->id;
}

/**
 * bus1_handle_show_own() - bus1_handle_show() at the holder's own expense
 * @handle:	handle whose holder's @local is held
 * @id:		set to the ID under which the holder knows the handle
 *
 * bus1_handle_unshow() undoes it.
 *
 * Return: 0; -ENOBUFS if the holder may have no more handles, -ESTALE if the node
 * was destroyed meanwhile, and the reference is still one to be dropped.
 */
int bus1_handle_show_own(struct bus1_handle *handle, u64 *id)
{
	struct bus1_peer *holder = handle->holder;
	bool new;
	int err = 0;

	lockdep_assert_held(&holder->local);

	spin_lock(&holder->data);
	new = !handle->n_user;
	if (new)
		err = missed_death_locked(handle) ? -ESTALE :
		      bus1_quota_charge_own(&holder->quota, &bus1_one_handle);
	if (!err)
		count_locked(handle, NULL);
	spin_unlock(&holder->data);

	if (unlikely(err))
		return err;
	if (new && !bus1_handle_is_own(handle))
		choose_id(handle);
	*id = handle->id;
	return 0;
}

/**
 * bus1_handle_hide() - undo bus1_handle_show()
 * @handle:	handle whose holder's @local was held since
 *
 * The ID is skipped.
 *
 * Return: whether the handle gives back the charge that it kept.
 */
bool bus1_handle_hide(struct bus1_handle *handle)
{
	struct bus1_peer *holder = handle->holder;
	bool charge;

	lockdep_assert_held(&holder->local);

	spin_lock(&holder->data);
	charge = !--handle->n_user;
	if (charge) {
		handle->charged = false;
		holder->n_handles--;
	}
	spin_unlock(&holder->data);

	if (charge && !bus1_handle_is_own(handle))
		rb_erase(&handle->rb_id, &holder->handles);
	return charge;
}

/* Returns true if the count fell to 0. */
static bool unshow_locked(struct bus1_handle *handle, u64 n)
{
	struct bus1_peer *holder = handle->holder;

	lockdep_assert_held(&holder->local);
	lockdep_assert_held(&holder->data);

	handle->n_user -= n;
	if (handle->n_user)
		return false;
	holder->n_handles--;
	if (handle->charged)
		bus1_quota_uncharge_one(&holder->quota, handle->claim,
					BUS1_HANDLES, 1);
	handle->charged = false;
	return true;
}

/**
 * bus1_handle_unshow() - take away from a handle's count
 * @handle:	handle whose holder's @local is held; may be gone afterwards
 * @n:		how many, at most its count; the owner's count only falls to 0
 *		when the node is not live, and bus1_node_forget() follows
 */
void bus1_handle_unshow(struct bus1_handle *handle, u64 n)
{
	struct bus1_peer *holder = handle->holder;
	bool zero;

	spin_lock(&holder->data);
	zero = unshow_locked(handle, n);
	spin_unlock(&holder->data);

	if (zero && !bus1_handle_is_own(handle)) {
		rb_erase(&handle->rb_id, &holder->handles);
	} else if (zero && handle->node->based) {
		handle->node->based = false;
		n--;
	}
	drop_refs(handle, n);
}
