// SPDX-License-Identifier: GPL-2.0
/*
 * bus1: the file descriptor
 */

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <net/af_unix.h>

#include "file.h"
#include "recv.h"
#include "teardown.h"

static int bus1_file_release(struct inode *inode, struct file *file)
{
	struct bus1_peer *peer = file->private_data;

	bus1_peer_disconnect(peer);
	bus1_peer_close(peer);
	return 0;
}

static __poll_t bus1_file_poll(struct file *file, poll_table *wait)
{
	struct bus1_peer *peer = file->private_data;
	__poll_t events;

	poll_wait(file, &peer->pollers, wait);

	spin_lock(&peer->data);
	if (peer->down)
		events = EPOLLHUP;
	else if (bus1_recv_peek_locked(peer))
		events = EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
	else
		events = EPOLLOUT | EPOLLWRNORM;
	spin_unlock(&peer->data);
	return events;
}

static int bus1_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct bus1_peer *peer = file->private_data;
	struct file *pool = NULL;
	int err;

	if (READ_ONCE(peer->down))
		return -ESHUTDOWN;
	err = bus1_pool_prepare(&peer->pool);
	if (err)
		return err;
	spin_lock(&peer->data);
	if (!peer->down)
		pool = get_file(peer->pool.file);
	spin_unlock(&peer->data);
	if (!pool)
		return -ESHUTDOWN;

	err = bus1_pool_mmap(pool, vma);
	fput(pool);
	return err;
}

static void fill_info(const struct bus1_peer *peer, struct bus1_peer_info *info)
{
	const struct bus1_quota *quota = &peer->quota;

	info->max_slices = quota->max.of[BUS1_SLICES];
	info->max_handles = quota->max.of[BUS1_HANDLES];
	info->max_inflight_bytes = quota->max.of[BUS1_BYTES];
	info->max_inflight_fds = quota->max.of[BUS1_FDS];
	info->used_slices = quota->used.of[BUS1_SLICES];
	info->used_handles = quota->used.of[BUS1_HANDLES];
	info->used_inflight_bytes = quota->used.of[BUS1_BYTES];
	info->used_inflight_fds = quota->used.of[BUS1_FDS];
	info->id = peer->id;
	info->n_nodes = peer->n_nodes;
	info->n_handles = peer->n_handles + peer->n_owed;
	info->n_queued = peer->queue.n_committed;
	info->n_sent = peer->n_sent;
	info->n_received = peer->n_received;
}

/**
 * bus1_peer_query() - tell the state of a peer
 * @peer:	peer
 * @info:	filled in, also for a peer that is down
 *
 * Return: 0, or -ESHUTDOWN.
 */
int bus1_peer_query(struct bus1_peer *peer, struct bus1_peer_info *info)
{
	bool down;

	mutex_lock(&peer->local);
	spin_lock(&peer->data);
	/* So that notices which nobody would get are not counted. */
	bus1_recv_peek_locked(peer);
	fill_info(peer, info);
	down = peer->down;
	spin_unlock(&peer->data);
	mutex_unlock(&peer->local);
	return down ? -ESHUTDOWN : 0;
}

#ifdef CONFIG_PROC_FS
static void show_resource(struct seq_file *m, const char *name,
			  const struct bus1_quota *quota, enum bus1_resource r)
{
	seq_printf(m, "bus1-%s:\t%u %u\n", name, quota->used.of[r],
		   quota->max.of[r]);
}

/*
 * Shows what all peers of its user have reserved, as the sysctls count it. That is
 * nobody else's business: others who have the peer see what this one peer has.
 */
static void show_reserved(struct seq_file *m, struct ucounts *user)
{
	if (m->file->f_cred->ucounts != user &&
	    !file_ns_capable(m->file, user->ns, CAP_SYS_RESOURCE))
		return;
	seq_printf(m, "bus1-reserved:\t%ld %ld %ld %ld\n",
		   bus1_user_reserved(user, BUS1_SLICES),
		   bus1_user_reserved(user, BUS1_HANDLES),
		   bus1_user_reserved(user, BUS1_BYTES),
		   bus1_user_reserved(user, BUS1_FDS));
}

static void show_claims(struct seq_file *m, const struct bus1_quota *quota)
{
	struct user_namespace *ns = seq_user_ns(m);
	struct bus1_claim *claim;
	struct rb_node *rb;

	for (rb = rb_first(&quota->claims); rb; rb = rb_next(rb)) {
		claim = rb_entry(rb, struct bus1_claim, rb);
		if (bus1_claim_is_idle(claim))
			continue;
		seq_printf(m, "bus1-claim:\t%u %u %u %u %u\n",
			   from_kuid_munged(ns, claim->user->uid),
			   claim->used.of[BUS1_SLICES],
			   claim->used.of[BUS1_HANDLES],
			   claim->used.of[BUS1_BYTES],
			   claim->used.of[BUS1_FDS]);
	}
}

static void show_peer_locked(struct seq_file *m, struct bus1_peer *peer)
{
	show_resource(m, "slices", &peer->quota, BUS1_SLICES);
	show_resource(m, "handles", &peer->quota, BUS1_HANDLES);
	show_resource(m, "bytes", &peer->quota, BUS1_BYTES);
	show_resource(m, "fds", &peer->quota, BUS1_FDS);
	seq_printf(m, "bus1-pool:\t%lu\n",
		   bus1_pool_resident(&peer->pool) << (PAGE_SHIFT - 10));
	seq_printf(m, "bus1-nodes:\t%zu\n", peer->n_nodes);
	seq_printf(m, "bus1-ids:\t%zu\n", peer->n_handles + peer->n_owed);
	bus1_recv_peek_locked(peer);
	seq_printf(m, "bus1-queued:\t%zu %llu\n", peer->queue.n_committed,
		   peer->queued_bytes);
	seq_printf(m, "bus1-sent:\t%llu\n", peer->n_sent);
	seq_printf(m, "bus1-received:\t%llu\n", peer->n_received);
	show_claims(m, &peer->quota);
}

static void bus1_file_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct bus1_peer *peer = file->private_data;

	seq_printf(m, "bus1-id:\t%llu\n", peer->id);
	seq_printf(m, "bus1-waiting:\t%u\n", peer->n_waiting);

	mutex_lock(&peer->local);
	seq_printf(m, "bus1-owed:\t%zu\n", peer->n_owed);
	seq_printf(m, "bus1-awaited:\t%zu\n", peer->n_awaited);
	seq_printf(m, "bus1-seed:\t%d\n", !!peer->seed);
	/* The user changes only under @local. */
	show_reserved(m, peer->quota.user);
	spin_lock(&peer->data);
	show_peer_locked(m, peer);
	spin_unlock(&peer->data);
	mutex_unlock(&peer->local);
}
#else
#define bus1_file_show_fdinfo NULL
#endif

const struct file_operations bus1_file_ops = {
	.owner = THIS_MODULE,
	.release = bus1_file_release,
	.poll = bus1_file_poll,
	.mmap = bus1_file_mmap,
	.show_fdinfo = bus1_file_show_fdinfo,
	.llseek = noop_llseek,
};

/**
 * bus1_file_open() - make a descriptor for a peer
 * @peer:	peer; its reference goes to the file, on success
 * @nonblock:	whether to set O_NONBLOCK
 *
 * Return: the descriptor, or a negative errno.
 */
int bus1_file_open(struct bus1_peer *peer, bool nonblock)
{
	return anon_inode_getfd("[bus1]", &bus1_file_ops, peer,
				O_RDWR | O_CLOEXEC |
				(nonblock ? O_NONBLOCK : 0));
}

/* There is no collector for cycles of files that hold files. */
static bool may_form_cycle(struct file *file)
{
	return bus1_file_is_peer(file) || io_is_uring_fops(file) ||
	       unix_get_socket(file);
}

/**
 * bus1_files_get() - get the files that a message is to carry
 * @fds:	descriptors of the caller
 * @n:		how many
 * @files:	filled in, with references
 *
 * Return: 0; -EBADF if one is not open, -EOPNOTSUPP if one is of a kind that
 * could form a cycle.
 */
int bus1_files_get(const int *fds, size_t n, struct file **files)
{
	int err = 0;
	size_t i;

	for (i = 0; i < n && !err; i++) {
		files[i] = fget_raw(fds[i]);
		if (!files[i]) {
			err = -EBADF;
			break;
		}
		if (may_form_cycle(files[i]))
			err = -EOPNOTSUPP;
	}
	if (err)
		bus1_files_put(files, i);
	return err;
}

/**
 * bus1_files_put() - put what bus1_files_get() got
 * @files:	files
 * @n:		how many
 */
void bus1_files_put(struct file **files, size_t n)
{
	while (n--)
		fput(files[n]);
}
