// SPDX-License-Identifier: GPL-2.0
/*
 * bus1 selftests: what keeps a node alive while its owner lets go of it
 *
 * The owner's own handle is part of the node, so a message that carries it home
 * must keep the node, whatever else goes first: the messages addressed to it, its
 * ID, its notices, or the peer. Which of them goes first decides who frees the
 * memory, so every order is played here; KASAN says whether it was too early.
 */
#include "common.h"

#define NODE	0x18ULL
#define OTHER	0x10ULL
#define REQUEST	0x20ULL

/* What can refer to NODE. Each is made at most once, in any order. */
enum thing { ADDRESSED, CARRIED, NOTICE, SEED, ASKED, N_THINGS };

/* What happens to NODE after that. */
enum step {
	DESTROY, DESTROY_RELEASE, RELEASE, RECEIVE, TRANSFER, TRANSFER_AWAY,
	N_STEPS,
};

/* How its owner ends. */
enum end { BY_CLOSE, BY_DISCONNECT, BY_RESET };

/*
 * @owner has NODE and OTHER; @other sends to them, unless the owner does it
 * itself, and holds NODE after TRANSFER_AWAY.
 */
FIXTURE(lifetime) {
	int owner, other;
	bool made[2];
};

FIXTURE_VARIANT(lifetime) {
	bool by_other;
	enum end end;
	unsigned int flags;
};

#define VARIANTS(name, ...)						\
	FIXTURE_VARIANT_ADD(lifetime, own_##name) { false, __VA_ARGS__ };	\
	FIXTURE_VARIANT_ADD(lifetime, name) { true, __VA_ARGS__ }

VARIANTS(close, BY_CLOSE, 0);
VARIANTS(disconnect, BY_DISCONNECT, 0);
VARIANTS(reset, BY_RESET, 0);
VARIANTS(flush, BY_RESET, BUS1_RESET_FLUSH);
VARIANTS(flush_seed, BY_RESET, BUS1_RESET_FLUSH_SEED);
VARIANTS(flush_all, BY_RESET, BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED);
VARIANTS(adopt, BY_RESET, BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED | BUS1_RESET_ADOPT);

FIXTURE_SETUP(lifetime)
{
	self->owner = -1;
	self->other = sys_open(NULL, 0, BUS1_OPEN_NONBLOCK);
	ASSERT_LE(0, self->other);
}

FIXTURE_TEARDOWN(lifetime)
{
	close(self->owner);
	close(self->other);
}

/* An ID of the owner's, as it is named when the node may not exist yet. */
static __u64 own_id(struct _test_data_lifetime *self, __u64 id)
{
	bool *made = &self->made[id == NODE];

	if (*made)
		return id;
	*made = true;
	return id | BUS1_HANDLE_FLAG_NEW;
}

/*
 * Sends to @dest, carrying @handle unless that is 0. The other peer gets its handles
 * for this message alone, so that the owner is told of their release.
 */
static int send_one(struct _test_data_lifetime *self, bool by_other, __u64 dest,
		    __u64 handle, __u64 reply_id)
{
	__u64 ids[2] = { own_id(self, dest), handle ? own_id(self, handle) : 0 };
	size_t n = handle ? 2 : 1;
	struct bus1_send_args a = {
		.ptr_destinations = to_u64(&ids[0]),
		.n_destinations = 1,
		.ptr_handles = to_u64(&ids[1]),
		.n_handles = n - 1,
		.reply_id = reply_id,
		.reply_max_bytes = reply_id ? 8 : 0,
	};
	unsigned int flags = reply_id ? BUS1_SEND_REPLY : 0;
	int fd = by_other ? self->other : self->owner;
	int err = 0;

	if (by_other)
		err = sys_transfer(self->owner, fd, ids, ids, n, 0);
	if (!err)
		err = send_args(fd, &a, flags);
	if (!err && by_other)
		err = sys_release(fd, ids, n, 0);
	return err;
}

static int make_seed(struct _test_data_lifetime *self)
{
	__u64 id = own_id(self, NODE);

	return send_full(self->owner, NULL, 0, NULL, 0, &id, 1, NULL, 0,
			 BUS1_SEND_SEED);
}

/* Whoever refers to the node is the last one to do so, for now. */
static int make_notice(struct _test_data_lifetime *self, bool by_other)
{
	int to = by_other ? self->other : self->owner;
	__u64 id = connect_peers(self->owner, own_id(self, NODE), to);

	return release_one(to, id);
}

static int make_thing(struct _test_data_lifetime *self, bool by_other,
		      enum thing thing)
{
	switch (thing) {
	case ADDRESSED:
		return send_one(self, by_other, NODE, 0, 0);
	case CARRIED:
		return send_one(self, by_other, OTHER, NODE, 0);
	case NOTICE:
		return make_notice(self, by_other);
	case SEED:
		return make_seed(self);
	case ASKED:
		return send_one(self, by_other, NODE, 0, REQUEST);
	default:
		return -EINVAL;
	}
}

/* Returns an error only if it is not one that the steps before explain. */
static int take_step(struct _test_data_lifetime *self, enum step step)
{
	int err, fd = self->owner;
	struct bus1_recv_args r = { .max_offset = POOL_MAP_SIZE };
	__u64 id = NODE, out;

	switch (step) {
	case DESTROY:
		err = sys_destroy(fd, &id, 1, 0);
		break;
	case DESTROY_RELEASE:
		err = sys_destroy(fd, &id, 1, BUS1_DESTROY_RELEASE_HANDLES);
		break;
	case RELEASE:
		err = sys_release(fd, &id, 1, 0);
		return err == -EBUSY || err == -ENXIO ? 0 : err;
	case RECEIVE:
		err = sys_recv(fd, &r, sizeof(r), 0);
		return err == -EAGAIN ? 0 : err;
	case TRANSFER:
		err = sys_transfer(fd, fd, &id, &out, 1, 0);
		break;
	case TRANSFER_AWAY:
		err = sys_transfer(fd, self->other, &id, &out, 1, 0);
		break;
	default:
		return -EINVAL;
	}
	return err == -ESTALE || err == -ENXIO ? 0 : err;
}

/* Lets go of all that the other peer may have been given, too. */
static int empty_other(int fd)
{
	unsigned int flags = BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED;
	int err = sys_reset(fd, NULL, 0, flags);

	return err ?: peer_is_clean(fd) ? 0 : -EUCLEAN;
}

static int end_owner(struct _test_data_lifetime *self, enum end end,
		     unsigned int flags)
{
	unsigned int all = BUS1_RESET_FLUSH | BUS1_RESET_FLUSH_SEED;
	int err = 0;

	if (end == BY_DISCONNECT)
		err = sys_disconnect(self->owner, 0);
	else if (end == BY_RESET)
		err = sys_reset(self->owner, NULL, 0, flags);
	if (!err && (flags & all) == all && !peer_is_clean(self->owner))
		err = -EUCLEAN;
	close(self->owner);
	return err ?: empty_other(self->other);
}

/* One life: the first @n of @things in their order, then the steps, then the end. */
static int live(struct _test_data_lifetime *self,
		const struct _fixture_variant_lifetime *v,
		const enum thing *things, int n, const enum step *steps,
		int n_steps)
{
	int i, err;

	memset(self->made, 0, sizeof(self->made));
	self->owner = sys_open(NULL, 0, BUS1_OPEN_NONBLOCK);
	err = self->owner < 0 ? self->owner : 0;
	for (i = 0; !err && i < n; i++)
		err = make_thing(self, v->by_other, things[i]);
	for (i = 0; !err && i < n_steps; i++)
		err = take_step(self, steps[i]);
	if (!err)
		err = end_owner(self, v->end, v->flags);
	if (err) {
		printf("# %d after things", err);
		for (i = 0; i < n; i++)
			printf(" %d", things[i]);
		printf(", steps");
		for (i = 0; i < n_steps; i++)
			printf(" %d", steps[i]);
		printf("\n");
	}
	return err;
}

/*
 * The next ordered choice of at most @max different things after @things, of which
 * there are @n, shorter ones before those that begin with them; returns how many it
 * has, 0 after the last.
 */
static int next_order(enum thing *things, int n, int max)
{
	unsigned int used, i;
	int j;

	if (n < max) {
		things[n++] = 0;
	} else {
		things[n - 1]++;
	}
	while (n) {
		for (used = 0, j = 0; j < n - 1; j++)
			used |= 1U << things[j];
		for (i = things[n - 1]; i < N_THINGS && used & (1U << i); i++)
			;
		things[n - 1] = i;
		if (i < N_THINGS)
			return n;
		if (--n)
			things[n - 1]++;
	}
	return 0;
}

/* Every order of everything, and one step. */
TEST_F_TIMEOUT(lifetime, every_order, 300)
{
	enum thing things[N_THINGS];
	enum step step;
	int n = 0, lives = 0;

	while ((n = next_order(things, n, N_THINGS)))
		for (step = 0; step < N_STEPS; step++, lives++)
			ASSERT_EQ(0, live(self, variant, things, n, &step, 1));
	/* 5 + 5*4 + 5*4*3 + 5*4*3*2 + 5*4*3*2*1 orders */
	ASSERT_EQ(325 * N_STEPS, lives);
}

/* Every order of two, and every two steps. */
TEST_F_TIMEOUT(lifetime, every_two_steps, 300)
{
	enum thing things[2];
	enum step steps[2];
	int n = 0;

	while ((n = next_order(things, n, 2)))
		for (steps[0] = 0; steps[0] < N_STEPS; steps[0]++)
			for (steps[1] = 0; steps[1] < N_STEPS; steps[1]++)
				ASSERT_EQ(0, live(self, variant, things, n,
						  steps, 2));
}

/* The case by which this was found: the first message goes, the second one stays. */
TEST(carried_behind_addressed)
{
	__u64 node = NODE | BUS1_HANDLE_FLAG_NEW, id = NODE;
	__u64 other = OTHER | BUS1_HANDLE_FLAG_NEW;
	int fd = sys_open(NULL, 0, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_bytes(fd, node, NULL, 0));
	ASSERT_EQ(0, send_handles(fd, other, &id, 1));
	ASSERT_EQ(0, sys_destroy(fd, &id, 1, BUS1_DESTROY_RELEASE_HANDLES));
	ASSERT_EQ(0, close(fd));
}

TEST_HARNESS_MAIN
