# SPDX-License-Identifier: GPL-2.0
"""bus1_recv: which entry may come, and what it must look like."""

import copy

from calls import Calls, id_list, names, num
from state import (
    DATA, F_INLINE, F_MORE, F_OVERTOOK, INVALID, Flushed, KINDS, NODE_DESTROY,
    NODE_RELEASE, NONE, OWN, REPLY_DROPPED, Mismatch, Node, Request,
    Slice, payload_crc)

RECV_SIZE = 136
INLINE_MAX = 256
RECV_SEED, RECV_INSTALL_FDS, RECV_NONBLOCK = 1, 2, 4
RECV_RELEASE, RECV_PIDFD, RECV_REPLY = 8, 16, 32
FILL = 0xa5a5a5a5a5a5a5a5
OVERFLOW_ID = 65534


class Receiving(Calls):

    def recv_errors(self, flags, known):
        errors = set()
        if flags & ~known:
            errors.add('EINVAL')
        if flags & RECV_SEED and flags & RECV_REPLY:
            errors.add('EINVAL')
        return errors

    def op_recv(self, label, args, res):
        peer = self.peer(args.get('fd'))
        flags = num(args, 'flags')
        errors = self.struct_errors(args, RECV_SIZE)
        errors |= self.recv_errors(flags, 0x3f & ~RECV_PIDFD)
        if 'buf' in args and args.get('bptr') == 'odd':
            errors.add('EINVAL')
        if args.get('ptr') == 'ro':
            errors.add('EFAULT')
        if not peer or errors or peer.down:
            self.settle(res, self.bad_fd(args), errors, self.shut(peer))
            return None
        offset = num(args, 'release', INVALID)
        if flags & RECV_RELEASE and offset != INVALID:
            if offset not in peer.slices:
                self.settle(res, {'ENXIO'})
                self.same(res, 'type', NONE)
                return None
            self.drop_slice(peer, offset)
        ret = res.get('ret', '?')
        self.receive(peer, args, flags, res, ret.lstrip('-'))
        if flags & RECV_RELEASE:
            self.same(res, 'release', INVALID)
        return None

    def candidates(self, peer, args, flags):
        """The entries that may come now, or the errors when there is none."""
        nothing = {'EAGAIN'}
        if not flags & RECV_NONBLOCK and not peer.nonblock:
            nothing = {'ETIMEDOUT'}
        if flags & RECV_SEED:
            return [], set() if peer.seed else {'EAGAIN'}
        if flags & RECV_REPLY:
            req = peer.requests.get(num(args, 'req'))
            if not req:
                return [], {'ENXIO'}
            found = [e for e in peer.queue if e.what is req or
                     (e.kind == DATA and e.what.answers is req)]
        else:
            found = peer.front()
        return found, set() if found else nothing

    def receive(self, peer, args, flags, res, found):
        """The receive itself; found: its errno, '0' for none."""
        entries, errors = self.candidates(peer, args, flags)
        if errors:
            if found not in errors:
                raise Mismatch('recv ' + names(errors), found)
            self.same(res, 'type', NONE)
            return
        if flags & RECV_SEED:
            return self.read_seed(peer, args, flags, res, found)
        entry = self.choose(entries, res, found)
        if entry.kind == DATA and self.unwritable(entry.what, args):
            return self.cannot_store(res, found)
        if found == 'ERANGE' and entry.kind == DATA:
            return self.out_of_range(peer, entry, args, flags, res)
        if found != '0':
            raise Mismatch('recv 0', found)
        self.check_overtaken(peer, entry, flags, res)
        self.same(res, 'error', 0)
        peer.queue.remove(entry)
        if entry.kind == DATA:
            self.deliver(peer, entry.what, args, flags, res)
        else:
            self.notify(peer, entry, res)
        peer.n_received += 1
        self.check_more(peer, entry, res)

    def inlined(self, m, args):
        """A small message goes to a buffer that takes all of it."""
        if 'buf' not in args or args.get('bptr') == 'null':
            return False
        return m.size <= min(num(args, 'buf'), INLINE_MAX)

    def unwritable(self, m, args):
        return (self.inlined(m, args) and m.size and
                args.get('bptr') in ('bad', 'kernel', 'ro'))

    def cannot_store(self, res, found):
        if found != 'EFAULT':
            raise Mismatch('recv -EFAULT', found)
        self.same(res, 'type', NONE)

    def choose(self, entries, res, found):
        """Notices of one destruction come in any order: take the one seen."""
        if len(entries) == 1 or found != '0':
            return entries[0]
        kind, dest = num(res, 'type'), num(res, 'dest')
        for e in entries:
            if e.kind == kind and self.dest_of(e) == dest:
                return e
        raise Mismatch('one of ' + ', '.join(
            '%s %#x' % (KINDS[e.kind], self.dest_of(e)) for e in entries),
            'type=%s dest=%s' % (res.get('type'), res.get('dest')))

    def dest_of(self, entry):
        what = entry.what
        if entry.kind == DATA:
            return what.answers.id if what.answers else what.node.id
        if entry.kind == NODE_DESTROY and isinstance(what, Request):
            return what.hid
        if entry.kind == NODE_DESTROY:
            return self.destroyed_id(entry)
        return what.id

    def destroyed_id(self, entry):
        node = entry.what
        for peer in self.slots.values():
            if entry in peer.queue and node in peer.handles:
                return peer.handles[node].id
        return node.id

    def check_more(self, peer, entry, res, skip=None):
        if num(res, 'flags') & ~7:
            raise Mismatch('known flags', 'flags=' + res['flags'])
        more = (entry.kind == DATA and
                peer.next_place(skip) == entry.place)
        if bool(num(res, 'flags') & F_MORE) != more:
            raise Mismatch('MORE %s' % ('set' if more else 'clear'),
                           'flags=' + res.get('flags', '?'))

    def check_overtaken(self, peer, entry, flags, res):
        low = high = 0
        if flags & RECV_REPLY:
            at = peer.queue.index(entry)
            for i, e in enumerate(peer.queue):
                # those of its own event are in front or behind
                beside = e.place == entry.place and e is not entry
                low += i < at and not beside and peer.deliverable(e)
                high += i < at or beside
            if high > 64:
                high = max(high, len(peer.queue))
        n = num(res, 'overtaken')
        if not low <= n <= high:
            raise Mismatch('overtaken=%d..%d' % (low, high),
                           'overtaken=%d' % n)
        if bool(num(res, 'flags') & F_OVERTOOK) != (n > 0):
            raise Mismatch('OVERTOOK %s' % ('set' if n else 'clear'),
                           'flags=' + res.get('flags', '?'))

    def out_of_range(self, peer, entry, args, flags, res):
        """ERANGE fills in what the caller needs to try again; no ID."""
        m = entry.what
        self.measures(m, res)
        self.place_slice(peer, m, res)
        if (not m.size or self.inlined(m, args) or
                num(res, 'off') + m.size <= num(args, 'max_offset')):
            raise Mismatch('no -ERANGE: %d bytes fit' % m.size,
                           'off=' + res.get('off', '?'))
        self.same(res, 'type', NONE)
        self.same(res, 'dest', INVALID)
        if num(res, 'flags') & F_INLINE:
            raise Mismatch('INLINE clear', 'flags=' + res['flags'])
        if num(res, 'reply') not in (INVALID, FILL, 0):
            raise Mismatch('no ID in reply', 'reply=' + res['reply'])
        self.check_more(peer, entry, res, entry)

    def measures(self, m, res):
        self.same(res, 'n_bytes', m.n_bytes)
        self.same(res, 'n_handles', len(m.slots))
        self.same(res, 'n_fds', len(m.fds))

    def place_slice(self, peer, m, res):
        """The pool: aligned to 8, no two slices that are held overlap."""
        offset = num(res, 'off', INVALID)
        if m.offset is not None:
            self.same(res, 'off', m.offset)
        if offset & 7 or offset == INVALID or offset in peer.slices:
            raise Mismatch('a free offset, 8-aligned', 'off=' + res.get('off', '?'))
        for at, held in peer.slices.items():
            if offset < at + held.size and at < offset + m.size:
                raise Mismatch('no overlap with the slice at %#x' % at,
                               'off=' + res['off'])
        # a small one has none until it is received
        if m.size > INLINE_MAX:
            m.offset = offset

    def take(self, peer, m, args, flags, res, payer):
        """What a delivered message and a seed that is read have in common."""
        self.same(res, 'type', DATA)
        self.measures(m, res)
        inlined = self.inlined(m, args)
        if bool(num(res, 'flags') & F_INLINE) != inlined:
            raise Mismatch('INLINE %s' % ('set' if inlined else 'clear'),
                           'flags=' + res.get('flags', '?'))
        offset = num(res, 'off')
        if inlined:
            self.same(res, 'off', INVALID)
        else:
            self.in_range(peer, m, args, res, offset)
        crc = payload_crc(m.label, m.n_bytes)
        self.same(res, 'crc', crc)
        self.same(res, 'pid', m.ident[0])
        self.same(res, 'uid', m.ident[1])
        self.same(res, 'gid', m.ident[2])
        self.same(res, 'pidfd', -1)
        fds = res.get('fds', '-')
        fds = [] if fds == '-' else fds.split(',')
        wanted = m.fds if flags & RECV_INSTALL_FDS else ['-1'] * len(m.fds)
        if fds != wanted:
            raise Mismatch('fds=' + ','.join(wanted), 'fds=' + res.get('fds', '?'))
        if inlined:
            peer.uncharge(payer, (1, 0, m.size, 0))
        else:
            peer.slices[offset] = Slice(m.size, payer, crc)

    def in_range(self, peer, m, args, res, offset):
        self.place_slice(peer, m, res)
        if m.size and offset + m.size > num(args, 'max_offset'):
            raise Mismatch('-ERANGE: beyond max_offset', 'off=' + res['off'])

    def deliver(self, peer, m, args, flags, res):
        self.take(peer, m, args, flags, res, m.payer)
        req = m.answers
        self.same(res, 'dest', req.id if req else m.node.id)
        if req:
            del peer.requests[req.id]
        # the descriptors and carried handles are given back now
        peer.uncharge(m.payer, (0, m.carried, 0, len(m.fds)))
        shown = id_list(res.get('handles'))
        if len(shown) != len(m.slots):
            raise Mismatch('%d handles' % len(m.slots),
                           'handles=' + res.get('handles', '?'))
        for i, slot in enumerate(m.slots):
            self.arrive(peer, m, slot, shown[i], 'handles[%d]' % i)
        if m.request:
            self.show_reply(peer, m.request, num(res, 'reply'), 'reply')
        else:
            self.same(res, 'reply', INVALID)

    def arrive(self, peer, m, slot, ident, what):
        if slot is None or isinstance(slot, Flushed) or (
                isinstance(slot, Node) and m.too_late(slot)):
            if ident != INVALID:
                raise Mismatch(what + '=INVALID', hex(ident))
        elif isinstance(slot, Request):
            self.show_reply(peer, slot, ident, what)
        elif self.show(peer, slot, ident, m.payer, what):
            # new to the receiver: charged on, until its count is 0
            peer.charge(m.payer, (0, 1, 0, 0))

    def notify(self, peer, entry, res):
        self.same(res, 'type', entry.kind)
        what = entry.what
        if entry.kind == NODE_DESTROY and isinstance(what, Node):
            self.same(res, 'dest', peer.handles[what].id)
        elif entry.kind == NODE_DESTROY:
            self.same(res, 'dest', what.hid)
        else:
            self.same(res, 'dest', what.id)
        if entry.kind == NODE_RELEASE:
            what.notice = None
        if entry.kind == REPLY_DROPPED:
            del peer.requests[what.id]
            peer.uncharge(OWN, (0, 1, 0, 0))
        for key in ('n_bytes', 'n_handles', 'n_fds', 'pid'):
            self.same(res, key, 0)
        for key in ('uid', 'gid'):
            self.same(res, key, OVERFLOW_ID)
        self.same(res, 'pidfd', -1)
        self.same(res, 'off', INVALID)
        self.same(res, 'reply', INVALID)

    def read_seed(self, peer, args, flags, res, found):
        """A fresh slice and fresh counts, charged to the peer itself."""
        seed = copy.copy(peer.seed)
        seed.offset, seed.place = None, self.place + 1
        # like a message to itself, for the moment of the call
        refused = peer.own_refusals(seed.cost())
        if found == 'ENOBUFS' and 'ENOBUFS' in refused:
            self.same(res, 'type', NONE)
            return
        if refused:
            raise Mismatch('recv -ENOBUFS', found)
        if self.unwritable(seed, args):
            return self.cannot_store(res, found)
        if found == 'ERANGE' and not self.inlined(seed, args):
            self.measures(seed, res)
            self.place_slice(peer, seed, res)
            self.same(res, 'type', NONE)
            if seed.size and num(res, 'off') + seed.size > num(args, 'max_offset'):
                return
        if found != '0':
            raise Mismatch('recv 0', found)
        self.take(peer, seed, args, flags, res, OWN)
        self.same(res, 'dest', INVALID)
        self.same(res, 'reply', INVALID)
        self.same(res, 'flags', num(res, 'flags') & F_INLINE)
        self.same(res, 'overtaken', 0)
        peer.charge(OWN, (1, 0, seed.size, 0))
        shown = id_list(res.get('handles'))
        if len(shown) != len(seed.slots):
            raise Mismatch('%d handles' % len(seed.slots), res.get('handles'))
        for i, slot in enumerate(seed.slots):
            self.arrive(peer, seed, slot, shown[i], 'handles[%d]' % i)
            if slot.died is None:
                self.add_ref(slot)
