// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: nodes and handles
 */

/**
 * DOC: references
 *
 * A node belongs to the peer that created it. Whoever else can name it has a
 * handle: one per peer and node, with a count. A reference is either in such a
 * count, or on its way: carried by an unread message or kept by a seed. Taking
 * and dropping references happens under the owner's data lock, so that the owner
 * learns of the last one in the order of its queue.
 *
 * A handle object exists from the first reference on its way to its holder until
 * the last reference is gone. It has an ID only while its count is not 0.
 *
 * Destruction. DYING fixes the set of holders, so whoever carries it out can walk over
 * them without a lock and without missing anybody. Who would add a holder then carries
 * the destruction out instead, and adds none; who drops one leaves it as a zombie to the
 * last that walks::
 *
 *	sender, attaching		destroyer
 *	lock; LIVE; add holder; unlock
 *					lock; DYING; unlock
 *					stage on all holders, the new one too
 *	stage on that holder: behind
 *
 * or::
 *
 *					lock; DYING; unlock
 *	lock; DYING; unlock; help	stage, fix, move, place
 *	sync that holder; no reference
 *	stage on that holder: behind
 *
 * In both cases the message and the destruction are ordered by their places, on
 * this holder as on any other. See destroy.c.
 */

#include <linux/bug.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "object.h"

static struct kmem_cache *node_cache;

/**
 * bus1_object_init() - make the caches of this room
 *
 * Return: 0. Panics when there is no memory at boot.
 */
int __init bus1_object_init(void)
{
	bus1_handle_cache_init();
	node_cache = kmem_cache_create("bus1_node", sizeof(struct bus1_node), 0,
				       SLAB_ACCOUNT | SLAB_PANIC, NULL);
	return 0;
}

/**
 * bus1_handle_after() - find the handle with the next higher ID
 * @space:	space whose @local is held
 * @id:		lower bound, inclusive
 *
 * Return: the handle with the lowest ID that is at least @id, or NULL.
 */
struct bus1_handle *bus1_handle_after(struct bus1_space *space, u64 id)
{
	struct rb_node *rb = space->handles.rb_node;
	struct bus1_handle *handle, *found = NULL;

	lockdep_assert_held(&space->local);

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

/* Make a handle known by its ID. */
static void link_id(struct bus1_handle *handle)
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

/*
 * Others cannot take a dead node's ID from its owner, for want of its local lock.
 * They leave it in a list, which is cleared before the owner makes more nodes.
 */
static void leave_to_owner_locked(struct bus1_node *node)
{
	if (!bus1_node_is_dead(node) || node->own.n_refs ||
	    node->own.n_user || node->listed || node->owner->down)
		return;
	list_add(&node->released.link, &node->owner->forgettable);
	node->listed = true;
}

static void forget_listed(struct bus1_space *owner)
{
	struct bus1_node *node;

	for (;;) {
		spin_lock(&owner->data);
		node = list_first_entry_or_null(&owner->forgettable,
						struct bus1_node,
						released.link);
		if (node) {
			list_del(&node->released.link);
			node->listed = false;
		}
		spin_unlock(&owner->data);
		if (!node)
			return;
		bus1_node_forget(node);
	}
}

/**
 * bus1_node_new() - create a node
 * @owner:	its owner, whose @local is held
 * @id:		free ID
 * @node:	the node; referenced by @owner's handle alone
 *
 * It is not charged yet, see bus1_node_charge().
 *
 * Return: 0 or -ENOMEM.
 */
int bus1_node_new(struct bus1_space *owner, u64 id, struct bus1_node **node)
{
	struct bus1_node *new;

	lockdep_assert_held(&owner->local);

	forget_listed(owner);
	new = kmem_cache_zalloc(node_cache, GFP_KERNEL);
	if (!new)
		return -ENOMEM;

	kref_init(&new->ref);
	new->owner = bus1_space_get(owner);
	INIT_LIST_HEAD(&new->staged);
	new->holders = RB_ROOT;
	new->based = true;
	bus1_entry_init(&new->released, BUS1_ENTRY_RELEASE);
	bus1_handle_init(&new->own);
	new->own.node = new;
	new->own.holder = owner;
	new->own.id = id;
	new->own.n_user = 1;
	rb_link_node(&new->own.rb_holder, NULL, &new->holders.rb_node);
	rb_insert_color(&new->own.rb_holder, &new->holders);
	link_id(&new->own);
	owner->n_handles++;
	spin_lock(&owner->data);
	owner->n_nodes++;
	spin_unlock(&owner->data);
	*node = new;
	return 0;
}

/**
 * bus1_node_charge() - charge a node to its owner
 * @node:	new node; its owner's @local was held since it was created
 *
 * A call looks up all that it names, and creates nodes on the way, before it charges
 * anything, so that a wrong name is reported even when the limit is reached.
 *
 * Return: 0, or -ENOBUFS if the owner may have no more handles.
 */
int bus1_node_charge(struct bus1_node *node)
{
	struct bus1_space *owner = node->owner;
	int err;

	lockdep_assert_held(&owner->local);

	spin_lock(&owner->data);
	err = bus1_quota_charge_own(&owner->quota, &bus1_one_handle);
	node->own.charged = !err;
	spin_unlock(&owner->data);
	return err;
}

/**
 * bus1_node_abort() - undo bus1_node_new()
 * @node:	node that no message was committed with; its owner's @local was
 *		held since it was created
 */
void bus1_node_abort(struct bus1_node *node)
{
	struct bus1_space *owner = node->owner;

	spin_lock(&owner->data);
	WRITE_ONCE(node->sealed, true);
	bus1_tx_place(&node->tx);
	owner->n_nodes--;
	spin_unlock(&owner->data);
	bus1_handle_unshow(&node->own, 1);
	bus1_node_forget(node);
}

/**
 * bus1_node_free() - free a node's memory, see bus1_node_put()
 * @ref:	its last reference, that is put
 */
void bus1_node_free(struct kref *ref)
{
	struct bus1_node *node = container_of(ref, struct bus1_node, ref);

	WARN_ON_ONCE(bus1_entry_queued(&node->released));
	bus1_space_put(node->owner);
	kmem_cache_free(node_cache, node);
}

/**
 * bus1_node_help() - carry out a node's destruction
 * @node:	node that is not live; no data lock is held
 *
 * Afterwards it is dead. May sleep.
 */
void bus1_node_help(struct bus1_node *node)
{
	struct bus1_tx *tx = &node->tx;

	if (!bus1_tx_is_placed(tx) && bus1_tx_enter(tx))
		bus1_tx_help(tx);
}

/**
 * bus1_node_sync() - let a peer hear when a node was destroyed
 * @node:	node whose destruction is fixed
 * @space:	the peer's; no data lock is held
 *
 * What the peer gets from now on is placed after the destruction.
 */
void bus1_node_sync(struct bus1_node *node, struct bus1_space *space)
{
	spin_lock(&space->data);
	bus1_queue_sync(&space->queue,
			bus1_tx_get_place(&node->tx).timestamp);
	spin_unlock(&space->data);
}

/**
 * bus1_node_forget() - let go of a dead node, as far as its owner can
 * @node:	node whose owner's @local is held; may be gone afterwards
 *
 * When the owner has no reference any more, nor an unread message that carries
 * one, the notice is withdrawn. When no unread message is addressed to the node
 * either, its ID can be used again.
 *
 * An owner that is down does not wait for messages that still carry its handle: they
 * are about to be dropped or refused. Until then the references they carry keep the
 * node's memory.
 */
void bus1_node_forget(struct bus1_node *node)
{
	struct bus1_space *owner = node->owner;
	struct bus1_entry *notice = &node->own.destroyed;
	bool gone;

	lockdep_assert_held(&owner->local);

	spin_lock(&owner->data);
	gone = bus1_node_is_dead(node) && !node->own.n_user &&
	       (!node->own.n_refs || owner->down);
	if (gone && bus1_entry_queued(notice))
		bus1_queue_remove(&owner->queue, notice);
	gone = gone && !node->n_queued;
	if (gone && node->listed)
		list_del(&node->released.link);
	node->listed = node->listed && !gone;
	spin_unlock(&owner->data);
	if (!gone || RB_EMPTY_NODE(&node->own.rb_id))
		return;

	rb_erase(&node->own.rb_id, &owner->handles);
	RB_CLEAR_NODE(&node->own.rb_id);
	bus1_node_put(node);
}

static void withdraw_notice(struct bus1_handle *handle)
{
	struct bus1_space *holder = handle->holder;

	spin_lock(&holder->data);
	if (bus1_entry_queued(&handle->destroyed))
		bus1_queue_remove(&holder->queue, &handle->destroyed);
	spin_unlock(&holder->data);
}

/**
 * bus1_handle_free() - free a zombie
 * @handle:	handle that is in no tree and no list
 *
 * The memory does not stay with the holder, who may have been adopted since it let
 * go of the handle.
 */
void bus1_handle_free(struct bus1_handle *handle)
{
	withdraw_notice(handle);
	bus1_node_put(handle->node);
	bus1_space_put(handle->holder);
	bus1_handle_free_memory(handle);
}

/*
 * The memory stays with the holder. Who drops the last reference has the holder's
 * local lock, or a message that is charged to it, so that its cgroup stays the same
 * meanwhile. Only of a reply that is thrown away unread one may come late.
 */
static __always_inline void recycle_handle(struct bus1_handle *handle)
{
	struct bus1_node *node = handle->node;

	bus1_handle_keep_memory(handle, handle->holder);
	bus1_node_put(node);
}

/**
 * bus1_node_unref_locked() - drop references that count
 * @node:	node whose owner's @data is held
 * @n:		how many
 *
 * The last one of a live node puts the notice into its owner's queue, unless no
 * reference was ever committed.
 *
 * Return: true if it did, and the owner is to be woken.
 */
bool bus1_node_unref_locked(struct bus1_node *node, u64 n)
{
	struct bus1_space *owner = node->owner;

	lockdep_assert_held(&owner->data);

	node->n_refs -= n;
	if (node->n_refs || !bus1_node_is_live(node) ||
	    !READ_ONCE(node->shared) || owner->down)
		return false;
	bus1_queue_add(&owner->queue, &node->released, 0);
	return true;
}

/**
 * bus1_node_pass() - as if a reference had been received and dropped
 * @node:	node
 */
void bus1_node_pass(struct bus1_node *node)
{
	struct bus1_space *owner = node->owner;
	bool notify = false;

	spin_lock(&owner->data);
	if (!bus1_entry_queued(&node->released)) {
		bus1_node_share(node);
		notify = bus1_node_unref_locked(node, 0);
	}
	spin_unlock(&owner->data);
	if (notify)
		bus1_space_wake(owner);
}

/*
 * Returns true if that was the handle's last reference. The caller then frees a holder's
 * handle, or puts the reference that the owner's handle held on its node.
 */
static __always_inline bool drop_refs_locked(struct bus1_handle *handle, u64 n)
{
	struct bus1_node *node = handle->node;

	lockdep_assert_held(&node->owner->data);

	handle->n_refs -= n;
	if (handle->n_refs)
		return false;
	if (bus1_handle_is_own(handle)) {
		leave_to_owner_locked(node);
		return true;
	}
	if (!bus1_node_is_live(node) &&
	    refcount_read(&node->tx.walkers)) {
		bus1_space_get(handle->holder);
		hlist_add_head(&handle->zombie, &node->zombies);
		return false;
	}
	rb_erase(&handle->rb_holder, &node->holders);
	return true;
}

static __always_inline void drop_refs(struct bus1_handle *handle, u64 n)
{
	struct bus1_node *node = handle->node;
	struct bus1_space *owner = node->owner;
	bool own = bus1_handle_is_own(handle);
	bool notify, gone, noticed;

	if (!n)
		return;

	spin_lock(&owner->data);
	gone = drop_refs_locked(handle, n);
	/* Who destroys it later does not find this holder any more. */
	noticed = !bus1_node_is_live(node);
	notify = bus1_node_unref_locked(node, n);
	/* Unless it was the handle's last, others may free the node from now on. */
	spin_unlock(&owner->data);

	if (!gone)
		return;
	/* A node's last reference is the last of a handle, too, which keeps the owner. */
	if (notify)
		bus1_space_wake(owner);
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

/* Of a handle that is not shown. */
static bool missed_death_locked(const struct bus1_handle *handle)
{
	return handle->step >= BUS1_STEP_MOVED &&
	       !bus1_entry_queued(&handle->destroyed);
}

/* The notice of a handle's end comes again, for who is shown the handle now. */
static void repeat_notice_locked(struct bus1_handle *handle)
{
	struct bus1_space *holder = handle->holder;
	struct bus1_place place = bus1_tx_get_place(handle->destroyed.tx);

	bus1_queue_insert(&holder->queue, &handle->destroyed, &place);
	bus1_space_wake_locked(holder, false);
}

/* One that is new to its holder takes over a charge. */
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
	handle->id = bus1_space_next_id(handle->holder) |
		     BUS1_HANDLE_FLAG_MANAGED | BUS1_HANDLE_FLAG_REMOTE;
	link_id(handle);
}

/**
 * bus1_handle_show() - turn a reference into one of the holder's count
 * @handle:	handle whose holder's @local is held
 * @claim:	claim that one handle is charged under
 * @placed:	whether it comes in a message that is placed before its node's end
 * @kept:	one more if the handle is new to its holder and keeps the charge
 *
 * After the reference was taken the node may have been destroyed, and the notice passed
 * over because the count was still 0. What has a place, a reply that overtook, shows
 * the handle all the same, and the notice comes after it. A transfer or a seed
 * has none: then the handle must not be shown any more.
 *
 * Return: the ID under which the holder knows the handle; or BUS1_HANDLE_INVALID,
 * and the reference is still one to be dropped.
 */
u64 bus1_handle_show(struct bus1_handle *handle, struct bus1_claim *claim,
		     bool placed, u32 *kept)
{
	struct bus1_space *holder = handle->holder;
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
		bus1_space_wake_pollers(holder);
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
	struct bus1_space *holder = handle->holder;
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
	struct bus1_space *holder = handle->holder;
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
	struct bus1_space *holder = handle->holder;

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
	struct bus1_space *holder = handle->holder;
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
