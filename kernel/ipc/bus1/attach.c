// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: how a peer becomes a holder of a node
 */

/**
 * DOC: attaching
 *
 * Whoever sends a handle takes the reference for its receiver, who may not have had
 * one. Mostly that is some steps under one lock, the node's owner's. What they may
 * need, memory that the receiver's cgroup pays for, is mostly there: a peer keeps
 * that of the last handle it let go of, in a place of its own
 * (&struct bus1_space.spare_handle).
 *
 * Many may take from that place and put there at once, holding locks of other peers or
 * none. Whoever exchanges its contents has what was in it, and alone.
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

static struct bus1_handle *take_spare(struct bus1_space *holder)
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

/**
 * bus1_handle_drop_spare() - free the memory that is kept for the next handle
 * @space:	who would become a holder
 */
void bus1_handle_drop_spare(struct bus1_space *space)
{
	struct bus1_handle *spare = take_spare(space);

	if (spare)
		kmem_cache_free(handle_cache, spare);
}

/* The handle of a holder; or, in place of it, where to link one, below @parent. */
static __always_inline struct bus1_handle *
find_holder(struct bus1_node *node, struct bus1_space *holder,
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
take_handle(struct bus1_node *node, struct bus1_space *from,
	    struct bus1_space *holder, struct bus1_handle **spare,
	    struct bus1_handle **taken)
{
	struct rb_node *parent, **link;
	struct bus1_handle *handle;

	*taken = NULL;
	if (unlikely(!bus1_node_is_live(node)))
		return -EBUSY;
	if (bus1_node_was_released(node, from))
		return -ENXIO;

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

/* Goes on after take_handle() returned @err. */
static noinline int
attach_slowly(struct bus1_node *node, struct bus1_space *from,
	      struct bus1_space *holder, gfp_t gfp, bool keep,
	      struct bus1_handle **handle, int err)
{
	struct bus1_handle *spare = NULL;

	if (err == -ENOMEM)
		err = alloc_handle(gfp, keep, &spare);
	if (spare) {
		spin_lock(&node->owner->data);
		err = take_handle(node, from, holder, &spare, handle);
		spin_unlock(&node->owner->data);
	}
	if (err == -EBUSY) {
		bus1_node_help(node);
		/* Its end comes before whatever its would-be holder gets next. */
		bus1_node_sync(node, holder);
		err = 0;
	}
	if (spare)
		bus1_handle_keep_memory(spare, holder);
	return err;
}

/**
 * bus1_handle_attach() - take a reference for a holder
 * @node:	node that @from looked up
 * @from:	who gives it
 * @holder:	who is to hold it
 * @gfp:	how to allocate the handle if the holder has none yet, and no memory
 *		for one; 0: not at all
 * @keep:	whether what is allocated is charged to @holder's cgroup
 * @handle:	the handle with one more reference, or NULL if the node is dead
 *
 * Carries out a destruction that is under way.
 *
 * Return: 0; -ENXIO if @from released its handle meanwhile; -ENOMEM.
 */
int bus1_handle_attach(struct bus1_node *node, struct bus1_space *from,
		       struct bus1_space *holder, gfp_t gfp, bool keep,
		       struct bus1_handle **handle)
{
	struct bus1_space *owner = node->owner;
	struct bus1_handle *none = NULL;
	int err;

	spin_lock(&owner->data);
	err = take_handle(node, from, holder, &none, handle);
	spin_unlock(&owner->data);
	if (likely(!err))
		return 0;
	return attach_slowly(node, from, holder, gfp, keep, handle, err);
}
