// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: the message that a receiver keeps for the next sender
 */

/**
 * DOC: spare messages
 *
 * A message that is released stays with its receiver, whose cgroup pays for it, if
 * there are not enough already. It keeps its slice, and what it takes stays booked on
 * the peer under the name of who sent it; only the user gets back what was charged.
 * When the same sender comes next, as most do, it takes over all three: its share
 * is checked anew, the slice is made to fit, and the user is charged again.
 *
 * For everybody else what is kept is free: who charges a slice, or counts, gives it
 * back first, bus1_spare_yield_locked(). A spare message that kept nothing is memory,
 * and no more.
 *
 * A page that somebody still pins must not be used again when the last slice in it
 * dies: it would show them the next message. That slice is not kept then, and what
 * others keep in the page is given back before it, so that the page can be punched.
 */

#include <linux/slab.h>

#include "message.h"

/**
 * bus1_spare_first_locked() - look for a spare message
 * @space:	receiver, whose @data is held
 *
 * Return: the one that came last, or NULL.
 */
struct bus1_message *bus1_spare_first_locked(struct bus1_space *space)
{
	return list_first_entry_or_null(&space->spares, struct bus1_message,
					entry.link);
}

static void add_locked(struct bus1_message *message, bool kept)
{
	message->kept = kept;
	list_add(&message->entry.link, &message->space->spares);
	message->space->n_spares++;
}

/**
 * bus1_spare_add_locked() - make a message that keeps nothing a spare one
 * @message:	message that is in no queue and holds nothing; its receiver's @data is
 *		held
 *
 * Return: false if there are enough.
 */
bool bus1_spare_add_locked(struct bus1_message *message)
{
	struct bus1_space *space = message->space;

	lockdep_assert_held(&space->data);

	if (space->n_spares >= BUS1_SPARES || !message->plain)
		return false;
	add_locked(message, false);
	return true;
}

/**
 * bus1_spare_remove_locked() - take a spare message away
 * @spare:	message of bus1_spare_first_locked(); its receiver's @data is held
 */
void bus1_spare_remove_locked(struct bus1_message *spare)
{
	list_del(&spare->entry.link);
	spare->space->n_spares--;
}

/*
 * A page in which a living slice begins can be pinned for that one's sake; what is
 * only kept beside it makes us look when it dies.
 */
static bool is_pinned(const struct bus1_message *message)
{
	if (list_empty(&message->space->spares) &&
	    bus1_pool_has_neighbour(&message->slice))
		return false;
	return bus1_pool_is_pinned(message->pool, &message->slice);
}

/**
 * bus1_spare_keep_locked() - keep a message for the next sender
 * @message:	message that carries nothing and is in no queue; its receiver's
 *		@data is held
 *
 * Return: true, and @message is the receiver's; false if it is to be freed.
 */
bool bus1_spare_keep_locked(struct bus1_message *message)
{
	struct bus1_space *space = message->space;

	lockdep_assert_held(&space->data);

	if (space->n_spares >= BUS1_SPARES || space->down || !message->plain ||
	    !message->slice.size || !bus1_pool_may_keep(&message->slice) ||
	    is_pinned(message) ||
	    !bus1_quota_suspend(&space->quota, &message->charged))
		return false;
	add_locked(message, true);
	return true;
}

static struct bus1_message *first_kept(const struct bus1_space *space)
{
	struct bus1_message *spare;

	list_for_each_entry(spare, &space->spares, entry.link)
		if (spare->kept)
			return spare;
	return NULL;
}

/* What @user may take over; NULL stands for the receiver itself. */
static struct bus1_message *find_kept(const struct bus1_space *space,
				      const struct ucounts *user)
{
	struct bus1_message *spare;

	list_for_each_entry(spare, &space->spares, entry.link)
		if (spare->kept &&
		    user == (spare->claim ? spare->claim->user : NULL))
			return spare;
	return NULL;
}

/* Handles and descriptors are never kept. */
static bool charge_items(struct bus1_message *spare, u32 n_handles)
{
	struct bus1_quota *quota = &spare->space->quota;
	struct bus1_claim *claim = spare->claim;

	if (n_handles &&
	    !bus1_quota_charge_one(quota, claim, BUS1_HANDLES, n_handles))
		return false;
	if (spare->n_fds &&
	    !bus1_quota_charge_one(quota, claim, BUS1_FDS, spare->n_fds)) {
		if (n_handles)
			bus1_quota_uncharge_one(quota, claim, BUS1_HANDLES,
						n_handles);
		return false;
	}
	spare->charged.of[BUS1_HANDLES] = n_handles;
	spare->charged.of[BUS1_FDS] = spare->n_fds;
	return true;
}

static bool charge_same(struct bus1_message *spare, u32 more)
{
	struct bus1_quota *quota = &spare->space->quota;

	if (!bus1_quota_resume(quota, spare->claim, &spare->charged,
			       &spare->charged))
		return false;
	if (likely(!(spare->n_handles | spare->n_fds | more)) ||
	    charge_items(spare, spare->n_handles - spare->n_moved + more))
		return true;
	bus1_quota_suspend(quota, &spare->charged);
	return false;
}

static noinline bool charge_other(struct bus1_message *spare, u32 more)
{
	struct bus1_amount need;
	u64 size = bus1_message_get_amount(spare, &need);

	need.of[BUS1_HANDLES] += more;
	if (!bus1_pool_resize(spare->pool, &spare->slice, size) ||
	    !bus1_quota_resume(&spare->space->quota, spare->claim,
			       &spare->charged, &need))
		return false;
	spare->charged = need;
	return true;
}

/**
 * bus1_spare_resume_locked() - take over the message that was kept
 * @space:	receiver, whose @data is held
 * @shape:	what the message is to consist of
 * @user:	who is to be charged, as the receiver sees it; NULL for the receiver
 *		itself
 * @more:	handles to charge beyond those of the message
 *
 * Return: the message, charged; or NULL if it does not serve.
 */
struct bus1_message *bus1_spare_resume_locked(struct bus1_space *space,
					      const struct bus1_shape *shape,
					      const struct ucounts *user,
					      u32 more)
{
	struct bus1_message *spare;

	lockdep_assert_held(&space->data);

	if (shape->n_handles + shape->n_fds > BUS1_INLINE_ITEMS)
		return NULL;
	spare = find_kept(space, user);
	if (!spare)
		return NULL;
	bus1_message_set_shape(spare, shape);
	spare->written = 0;
	if (!(bus1_message_size(spare) == spare->charged.of[BUS1_BYTES] ?
	      charge_same(spare, more) : charge_other(spare, more)))
		return NULL;
	bus1_spare_remove_locked(spare);
	spare->kept = false;
	return spare;
}

/**
 * bus1_spare_is_kept_locked() - whether a spare message keeps a slice
 * @space:	receiver, whose @data is held
 *
 * Return: true if one does.
 */
bool bus1_spare_is_kept_locked(const struct bus1_space *space)
{
	return first_kept(space);
}

/**
 * bus1_spare_yield_locked() - give back what the spare messages keep
 * @space:	receiver, whose @data is held
 *
 * May release @data in between, and sleep then; afterwards nothing is kept.
 */
void bus1_spare_yield_locked(struct bus1_space *space)
{
	struct bus1_message *spare;

	lockdep_assert_held(&space->data);

	while ((spare = first_kept(space))) {
		bus1_spare_remove_locked(spare);
		/* First: nobody finds it any more to give it back. */
		bus1_quota_unbook(&space->quota, spare->claim, &spare->charged);
		bus1_message_free_slice_locked(spare);
		if (!bus1_spare_add_locked(spare))
			bus1_message_free_memory(spare);
	}
}

/**
 * bus1_spare_drop() - free the spare messages
 * @space:	receiver; if it is down none comes after them
 */
void bus1_spare_drop(struct bus1_space *space)
{
	struct bus1_message *spare;

	spin_lock(&space->data);
	bus1_spare_yield_locked(space);
	while ((spare = bus1_spare_first_locked(space))) {
		bus1_spare_remove_locked(spare);
		bus1_message_free_memory(spare);
	}
	spin_unlock(&space->data);
}
