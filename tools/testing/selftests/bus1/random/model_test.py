#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Small traces, made by hand from the contract's text, for the model."""

import re
import unittest

from model import check
from state import payload_crc

HEAD = '# seed 1 abi x86_64 pid 77 uid 0 gid 0'
INV = '0xffffffffffffffff'


def opened(*slots, limits='none', flags='0x1'):
    return ['open slot=%s limits=%s flags=%s -> ret=0' % (s, limits, flags)
            for s in slots]


def send(fd, dests, vecs='8', flags=0, handles='-', fds='-', ret='0', err='-',
         more='', op='send'):
    nd = 0 if dests == '-' else dests.count(',') + 1
    nh = 0 if handles == '-' else handles.count(',') + 1
    nf = 0 if fds == '-' else fds.count(',') + 1
    flags |= (8 if nh else 0) | (16 if nf else 0)
    return ('%s fd=%s dests=%s nd=%d vecs=%s nv=%d handles=%s nh=%d fds=%s '
            'nf=%d flags=%#x errors=%d %s -> ret=%s err=%s' %
            (op, fd, dests, nd, vecs, 0 if vecs == '-' else vecs.count('+') + 1,
             handles, nh, fds, nf, flags, err != '-', more, ret, err))


def ask(fd, dest, rid, size=8, handles=0, fds=0, **kw):
    return send(fd, dest, flags=4, more='reply_id=%s reply_bytes=%d '
                'reply_handles=%d reply_fds=%d' % (rid, size, handles, fds), **kw)


def got(fd, dest, off='0x0', n=8, at=0, flags='0x0', handles='-', fds='-',
        reply=INV, uid=0, args='', rflags='0x0', over=0, crc=None):
    """A message; at: the step that sent it."""
    nh = 0 if handles == '-' else handles.count(',') + 1
    nf = 0 if fds == '-' else fds.count(',') + 1
    return ('recv fd=%s max_offset=0x1000000 deadline=0 flags=%s %s -> ret=0 '
            'type=1 flags=%s off=%s n_bytes=%d n_handles=%d n_fds=%d reply=%s '
            'dest=%s release=%s pid=77 uid=%d gid=0 pidfd=-1 error=0 '
            'overtaken=%d crc=@CRC%d,%d@ handles=%s fds=%s' %
            (fd, rflags, args, flags, off, n, nh, nf, reply, dest, INV, uid,
             over, at, n, handles, fds))


def notice(fd, kind, dest, flags='0x0', over=0, args='', rflags='0x0'):
    return ('recv fd=%s max_offset=0x1000000 deadline=0 flags=%s %s -> ret=0 '
            'type=%d flags=%s off=%s n_bytes=0 n_handles=0 n_fds=0 reply=%s '
            'dest=%s release=%s pid=0 uid=65534 gid=65534 pidfd=-1 error=0 '
            'overtaken=%d' % (fd, rflags, args, kind, flags, INV, INV, dest,
                              INV, over))


def empty(fd, ret='-EAGAIN', args='', flags='0x0'):
    return ('recv fd=%s max_offset=0x1000000 deadline=0 flags=%s %s -> ret=%s '
            'type=0 release=%s' % (fd, flags, args, ret, INV))


def query(fd, ret='0', **kw):
    v = dict(max_slices=16384, max_handles=65536, max_inflight_bytes=16 << 20,
             max_inflight_fds=1024, used_slices=0, used_handles=0,
             used_inflight_bytes=0, used_inflight_fds=0,
             id=1 + ord(fd[1]) - ord('0'), n_nodes=0, n_handles=0, n_queued=0,
             n_sent=0, n_received=0)
    v.update(kw)
    return 'query fd=%s flags=0x0 -> ret=%s %s' % (
        fd, ret, ' '.join('%s=%d' % i for i in v.items()))


def array(op, fd, ids, ret='0', flags='0x0', more=''):
    n = 0 if ids == '-' else ids.count(',') + 1
    return '%s fd=%s ids=%s n=%d flags=%s %s -> ret=%s' % (op, fd, ids, n,
                                                           flags, more, ret)


def transfer(src, dst, ids, out='-', ret='0', more=''):
    n = 0 if ids == '-' else ids.count(',') + 1
    return 'transfer src=%s dst=%s ids=%s n=%d flags=0x0 %s -> ret=%s out=%s' % (
        src, dst, ids, n, more, ret, out)


def reset(fd, flags, ret='0', limits='none'):
    return 'reset fd=%s limits=%s flags=%s -> ret=%s' % (fd, limits, flags, ret)


class ModelTest(unittest.TestCase):
    def run_lines(self, lines):
        text = ['%d %s' % (i, line) for i, line in enumerate(lines)]
        text = [re.sub(r'@CRC(\d+),(\d+)@', lambda m: hex(payload_crc(
            int(m[1]), int(m[2]))), t) for t in text]
        return check([HEAD] + text)

    def good(self, *lines):
        self.assertIsNone(self.run_lines(lines))

    def bad(self, *lines):
        """The last line, and no earlier one, is not allowed."""
        found = self.run_lines(lines)
        self.assertIsNotNone(found)
        self.assertEqual(found.label, len(lines) - 1, found)

    def both(self, start, good, bad):
        """start + good is allowed, start + each of bad is not."""
        good = [good] if isinstance(good, str) else good
        self.good(*start, *good)
        for line in [bad] if isinstance(bad, str) else bad:
            self.bad(*start, *([line] if isinstance(line, str) else line))

    # p0 owns node 0x10, p1 has it as 0x103
    PAIR = opened('p0', 'p1') + [transfer('p0', 'p1', '0x14', '0x103')]

    def test_open(self):
        self.both([], opened('p0', limits='1,2,3,4') +
                  [query('p0', max_slices=1, max_handles=2,
                         max_inflight_bytes=3, max_inflight_fds=4)],
                  ['open slot=p0 limits=none flags=0x2 -> ret=0',
                   'open slot=p0 limits=0x80000000,1,1,1 flags=0x0 -> ret=0',
                   'open slot=p0 limits=none flags=0x0 -> ret=-ENOSPC'])
        big = ['open slot=p0 limits=5000000,1,2147483647,1 flags=0x0 -> ret=0']
        self.both(big, ['open slot=p1 limits=5000000,1,1,1 flags=0x0 '
                        '-> ret=-ENOSPC', query('p0', max_slices=5000000,
                        max_handles=1, max_inflight_bytes=2147483647,
                        max_inflight_fds=1)],
                  ['open slot=p1 limits=5000000,1,1,1 flags=0x0 -> ret=0',
                   'open slot=p1 limits=1,1,2147483647,1 flags=0x0 '
                   '-> ret=-ENOSPC',
                   reset('p0', '0x0', limits='8388608,keep,keep,keep',
                         ret='-ENOSPC'),
                   reset('p0', '0x0', limits='8388609,keep,keep,keep'),
                   reset('p0', '0x7', limits='3388609,keep,keep,keep'),
                   reset('p0', '0x7', limits='3388608,keep,keep,keep',
                         ret='-ENOSPC')])
        # What is used stays reserved, and is not reserved again.
        self.good(*big, reset('p0', '0x0', limits='8388608,keep,keep,keep'),
                  reset('p0', '0x0', limits='8388607,keep,keep,keep'),
                  'open slot=p1 limits=1,1,1,1 flags=0x0 -> ret=0')

    def test_struct(self):
        self.both([], 'open slot=p0 limits=keep flags=0x0 size=40 -> ret=0',
                  ['open slot=p0 limits=keep flags=0x0 size=40 tail=1 -> ret=0',
                   'open slot=p0 limits=keep flags=0x0 size=24 -> ret=-E2BIG',
                   'open slot=p0 limits=keep flags=0x0 ptr=odd -> ret=-EFAULT'])

    def test_query_counts(self):
        self.both(self.PAIR, [query('p0', n_nodes=1, n_handles=1,
                                    used_handles=1),
                              query('p1', n_handles=1, used_handles=1)],
                  [query('p1', n_nodes=1, n_handles=1, used_handles=1),
                   query('p1', n_handles=1, used_handles=1, n_queued=1),
                   query('p1', n_handles=1)])

    def test_message(self):
        start = self.PAIR + [send('p1', '0x103', '5+4')]
        self.both(start, [got('p0', '0x10', n=9, at=3),
                          query('p0', n_nodes=1, n_handles=1, used_handles=1,
                                used_slices=1, used_inflight_bytes=16,
                                n_received=1),
                          query('p1', n_handles=1, used_handles=1, n_sent=1)],
                  [got('p0', '0x10', n=9, at=2), got('p0', '0x18', n=9, at=3),
                   got('p0', '0x10', n=8, at=3), empty('p0'),
                   got('p0', '0x10', n=9, at=3, off='0x4'),
                   got('p0', '0x10', n=9, at=3, uid=7),
                   got('p0', '0x10', n=9, at=3, flags='0x1')])

    def test_identifiers(self):
        start = opened('p0', 'p1')
        self.both(start, transfer('p0', 'p1', '0x14', '0x103'),
                  [transfer('p0', 'p1', '0x14', '0x101'),
                   transfer('p0', 'p1', '0x14', INV),
                   transfer('p0', 'p1', '0x10', '0x103'),
                   transfer('p0', 'p1', '0x15', '0x103', '-ENXIO')])
        self.both(self.PAIR, transfer('p0', 'p1', '0x10', '0x103'),
                  [transfer('p0', 'p1', '0x10', '0x203'),
                   transfer('p0', 'p1', '0x14', '0x203')])

    def test_never_reused(self):
        start = self.PAIR + [array('release', 'p1', '0x103'),
                             notice('p0', 3, '0x10')]
        self.both(start, transfer('p0', 'p1', '0x10', '0x203'),
                  transfer('p0', 'p1', '0x10', '0x103'))

    def test_order(self):
        start = self.PAIR + [send('p1', '0x103'), send('p1', '0x103', '16')]
        self.both(start, [got('p0', '0x10', at=3),
                          got('p0', '0x10', at=4, n=16, off='0x8')],
                  [got('p0', '0x10', at=4, n=16),
                   [got('p0', '0x10', at=3), got('p0', '0x10', at=4, n=16)]])

    def test_release_notice(self):
        start = self.PAIR + [array('release', 'p1', '0x103')]
        self.both(start, notice('p0', 3, '0x10'),
                  [empty('p0'), notice('p0', 2, '0x10'),
                   [notice('p0', 3, '0x10'), notice('p0', 3, '0x10')]])
        self.both(start + [transfer('p0', 'p1', '0x10', '0x203')],
                  empty('p0'), notice('p0', 3, '0x10'))

    def test_owner_reference(self):
        self.both(self.PAIR, array('release', 'p0', '0x10', '-EBUSY'),
                  array('release', 'p0', '0x10'))
        self.good(*self.PAIR, transfer('p0', 'p0', '0x10', '0x10'),
                  array('release', 'p0', '0x10'),
                  array('release', 'p0', '0x10', '-EBUSY'))

    def test_destroy_notice(self):
        start = self.PAIR + [array('destroy', 'p0', '0x10')]
        self.both(start, [notice('p0', 2, '0x10'), notice('p1', 2, '0x103'),
                          array('destroy', 'p0', '0x10', '-ESTALE'),
                          send('p1', '0x103', ret='-EHOSTUNREACH')],
                  [empty('p0'), notice('p1', 2, '0x10'),
                   array('destroy', 'p0', '0x10', '-ENXIO'),
                   array('destroy', 'p1', '0x103', '-ESTALE'),
                   send('p1', '0x103')])
        start = self.PAIR + [array('destroy', 'p0', '0x10', flags='0x1')]
        self.both(start, empty('p0'), notice('p0', 2, '0x10'))

    def test_withdrawn(self):
        start = self.PAIR + [array('destroy', 'p0', '0x10'),
                             array('release', 'p1', '0x103')]
        self.both(start, [empty('p1'), query('p1')],
                  [notice('p1', 2, '0x103'), query('p1', n_queued=1)])

    def test_more(self):
        start = self.PAIR + [transfer('p0', 'p1', '0x1c', '0x203'),
                             array('destroy', 'p0', '0x18,0x10')]
        self.both(start, [notice('p1', 2, '0x203'), notice('p1', 2, '0x103')],
                  [notice('p1', 2, '0x103'), notice('p1', 2, '0x203', '0x1')])

    def test_multicast(self):
        start = self.PAIR + [transfer('p0', 'p1', '0x1c', '0x203'),
                             send('p1', '0x203,0x103', err='0,0')]
        self.both(start, [got('p0', '0x18', at=4, flags='0x1'),
                          got('p0', '0x10', at=4, off='0x8')],
                  [got('p0', '0x10', at=4, flags='0x1'),
                   got('p0', '0x18', at=4)])
        self.both(self.PAIR, send('p1', '0x103,0x103', ret='-ENOTUNIQ'),
                  send('p1', '0x103,0x103'))

    def test_carried_handle(self):
        start = self.PAIR + [send('p0', '0x10', handles='0x1c,0x18')]
        self.both(start, [query('p0', n_nodes=2, n_handles=2, used_handles=4,
                                used_slices=1, used_inflight_bytes=24,
                                n_queued=1, n_sent=1),
                          got('p0', '0x10', at=3, handles='0x18,0x18'),
                          query('p0', n_nodes=2, n_handles=2, used_handles=2,
                                used_slices=1, used_inflight_bytes=24,
                                n_received=1, n_sent=1),
                          array('release', 'p0', '0x18'),
                          array('release', 'p0', '0x18'),
                          notice('p0', 3, '0x18')],
                  [got('p0', '0x10', at=3, handles='0x18,0x103'),
                   query('p0', n_nodes=2, n_handles=2, used_handles=2,
                         used_slices=1, used_inflight_bytes=24, n_queued=1,
                         n_sent=1)])

    def test_invalid_after_destruction(self):
        start = opened('p0', 'p1', 'p2') + [
            transfer('p0', 'p1', '0x14', '0x103'),
            transfer('p2', 'p1', '0x1c', '0x203')]
        dead = [array('destroy', 'p0', '0x10')]
        carry = [send('p1', '0x203', handles='0x103')]
        self.both(start + dead + carry, got('p2', '0x18', at=6, handles=INV),
                  got('p2', '0x18', at=6, handles='0x103'))
        self.both(start + carry + dead,
                  [got('p2', '0x18', at=5, handles='0x103'),
                   notice('p2', 2, '0x103'), empty('p2')],
                  got('p2', '0x18', at=5, handles=INV))

    def test_seed(self):
        start = opened('p0') + [send('p0', '-', flags=2, handles='0x14')]
        seed = got('p0', INV, at=1, handles='0x10', rflags='0x1')
        self.both(start, [query('p0', n_nodes=1, n_handles=1, used_handles=2,
                                used_slices=1, used_inflight_bytes=16), seed,
                          query('p0', n_nodes=1, n_handles=1, used_handles=2,
                                used_slices=2, used_inflight_bytes=32),
                          array('release', 'p0', '0x10'),
                          array('release', 'p0', '0x10', '-EBUSY'),
                          empty('p0')],
                  [empty('p0', flags='0x1'),
                   got('p0', '0x10', at=1, handles='0x10', rflags='0x1')])

    def test_seed_flush(self):
        start = opened('p0', 'p1') + [
            send('p0', '-', flags=2, handles='0x14'),
            transfer('p0', 'p1', '0x10,0x1c', '0x103,0x203'),
            send('p1', '0x103'), send('p1', '0x203'), reset('p0', '0x1')]
        self.both(start, [notice('p1', 2, '0x203'),
                          got('p0', '0x10', at=4), empty('p0')],
                  [notice('p1', 2, '0x103'), got('p0', '0x18', at=5)])

    def test_share(self):
        """L = 64 bytes, one claimant: 32, then as it says."""
        start = opened('p0', limits='keep,keep,64,keep') + opened('p1') + [
            transfer('p0', 'p1', '0x14', '0x103')]
        self.both(start, [send('p1', '0x103', '32'),
                          send('p1', '0x103', '8', ret='-EDQUOT')],
                  [send('p1', '0x103', '33'),
                   send('p1', '0x103', '32', ret='-EDQUOT'),
                   [send('p1', '0x103', '32'), send('p1', '0x103', '8')],
                   send('p1', '0x103', '40', ret='-EDQUOT')])
        self.good(*start, send('p1', '0x103', '40', ret='-EMSGSIZE'))
        self.good(*start, send('p1', '0x103', '32'),
                  send('p1', '0x103', '16', ret='-EXFULL', err='-EXFULL'))

    def test_continue(self):
        start = opened('p0', limits='1,keep,keep,keep') + opened('p1') + [
            transfer('p0', 'p1', '0x14', '0x103'),
            transfer('p1', 'p1', '0x24', '0x20')]
        start[0] = opened('p0', limits='2,keep,keep,keep')[0]
        full = start + [send('p1', '0x103')]
        self.both(full, send('p1', '0x103,0x20', flags=1, err='-54,0'),
                  [send('p1', '0x103,0x20', flags=1, err='0,0'),
                   send('p1', '0x103,0x20', flags=1, ret='-EXFULL'),
                   send('p1', '0x103,0x20', ret='0')])

    def test_request(self):
        start = self.PAIR + [ask('p1', '0x103', '0x40', 24, 1, 1)]
        cost = dict(n_handles=1, n_sent=1)
        self.both(start, [
            query('p1', used_handles=3, used_slices=1, used_inflight_bytes=36,
                  used_inflight_fds=1, **cost),
            got('p0', '0x10', at=3, reply='0x100b'),
            send('p0', '0x100b', '3'),
            query('p1', used_handles=1, used_slices=1, used_inflight_bytes=8,
                  n_queued=1, **cost),
            got('p1', '0x40', n=3, at=6)],
            [got('p0', '0x10', at=3), got('p0', '0x10', at=3, reply='0x1009'),
             [got('p0', '0x10', at=3, reply='0x100b'),
              send('p0', '0x100b', '25')],
             ask('p1', '0x103', '0x40')])

    def test_dropped(self):
        start = self.PAIR + [ask('p1', '0x103', '0x40'),
                             got('p0', '0x10', at=3, reply='0x100b'),
                             array('release', 'p0', '0x100b')]
        self.both(start, [query('p1', n_handles=1, used_handles=2, n_sent=1,
                                n_queued=1), notice('p1', 4, '0x40'),
                          query('p1', n_handles=1, used_handles=1, n_sent=1,
                                n_received=1), ask('p1', '0x103', '0x40')],
                  [empty('p1'), notice('p1', 2, '0x40'),
                   array('destroy', 'p1', '0x40')])

    def test_cancel(self):
        start = self.PAIR + [ask('p1', '0x103', '0x40'),
                             got('p0', '0x10', at=3, reply='0x100b'),
                             array('destroy', 'p1', '0x40')]
        self.both(start, [query('p1', n_handles=1, used_handles=2, n_sent=1),
                          notice('p0', 2, '0x100b'), empty('p1'),
                          send('p0', '0x100b', ret='-EHOSTUNREACH'),
                          array('release', 'p0', '0x100b'),
                          query('p1', n_handles=1, used_handles=1, n_sent=1)],
                  [notice('p1', 4, '0x40'), send('p0', '0x100b'),
                   array('destroy', 'p1', '0x40', '-ESTALE'),
                   array('destroy', 'p0', '0x100b')])

    def test_overtake(self):
        start = self.PAIR + [
            ask('p1', '0x103', '0x40'), got('p0', '0x10', at=3, reply='0x100b'),
            transfer('p1', 'p1', '0x24', '0x20'), send('p1', '0x20'),
            send('p0', '0x100b')]
        fetch = dict(args='req=0x40', rflags='0x20', at=7)
        self.both(start, [got('p1', '0x40', flags='0x2', over=1, **fetch),
                          got('p1', '0x20', at=6, off='0x8')],
                  [got('p1', '0x40', **fetch),
                   got('p1', '0x40', flags='0x2', over=2, **fetch),
                   got('p1', '0x40', at=7), got('p1', '0x20', at=6, over=1)])
        self.both(start, empty('p1', '-ENXIO', 'req=0x48', '0x20'),
                  empty('p1', '-EAGAIN', 'req=0x48', '0x20'))

    def test_moving(self):
        start = opened('p0', 'p1', 'p2') + [
            transfer('p0', 'p1', '0x14', '0x103'),
            transfer('p2', 'p0', '0x14', '0x103'),
            ask('p1', '0x103', '0x40'), got('p0', '0x10', at=5, reply='0x100b')]
        self.both(start, [send('p0', '0x103', handles='0x100b'),
                          send('p0', '0x100b', ret='-ENXIO'),
                          got('p2', '0x10', at=7, handles='0x200b'),
                          send('p2', '0x200b'), got('p1', '0x40', at=10)],
                  [[send('p0', '0x103', handles='0x100b'),
                    got('p2', '0x10', at=7, handles='0x2003')],
                   send('p0', '0x103', handles='0x100b,0x100b')])
        self.both(start, transfer('p0', 'p2', '0x100b', ret='-EINVAL'),
                  [transfer('p0', 'p2', '0x100b', '0x200b'),
                   transfer('p0', 'p0', '0x100b', '0x100b'),
                   transfer('p0', 'p2', '0x100b', ret='-ENXIO')])

    def test_close_drops(self):
        start = self.PAIR + [ask('p1', '0x103', '0x40'), 'close fd=p0 -> ret=0']
        self.good(*start, notice('p1', 2, '0x103'), notice('p1', 4, '0x40'))
        self.good(*start, notice('p1', 4, '0x40'), notice('p1', 2, '0x103'))
        self.bad(*start, notice('p1', 2, '0x103'), empty('p1'))

    def test_range(self):
        start = self.PAIR + [send('p1', '0x103', '304')]
        line = ('recv fd=p0 max_offset=%s deadline=0 flags=0x0 -> ret=-ERANGE '
                'type=%d flags=0x0 off=0x10 n_bytes=304 n_handles=0 n_fds=0 '
                'dest=' + INV + ' reply=' + INV)
        there = dict(at=3, n=304)
        self.both(start, [line % ('0x10', 0),
                          got('p0', '0x10', off='0x10', **there)],
                  [line % ('0x140', 0), line % ('0x10', 1),
                   [line % ('0x10', 0),
                    got('p0', '0x10', off='0x18', **there)]])

    def test_inline(self):
        start = self.PAIR + [send('p1', '0x103')]
        there = dict(at=3, off=INV, flags='0x4')
        self.both(start, [got('p0', '0x10', args='buf=8', **there),
                          array('slices', 'p0', INV, '-ENXIO')],
                  [got('p0', '0x10', args='buf=7', **there),
                   got('p0', '0x10', args='buf=8 bptr=null', **there),
                   got('p0', '0x10', args='buf=8', at=3),
                   got('p0', '0x10', at=3, off=INV, args='buf=8'),
                   got('p0', '0x10', args='buf=8 bptr=ro', **there)])
        bad = 'buf=256 bptr=bad'
        self.both(start, [empty('p0', '-EFAULT', bad),
                          got('p0', '0x10', args='buf=0', at=3)],
                  [empty('p0', '-EAGAIN', bad),
                   empty('p0', '-EINVAL', bad)])
        start[-1] = send('p1', '0x103', '257')
        self.both(start, got('p0', '0x10', at=3, n=257, args=bad),
                  got('p0', '0x10', n=257, args='buf=1024', **there))

    def test_slices(self):
        start = self.PAIR + [send('p1', '0x103'), got('p0', '0x10', at=3)]
        self.both(start, [array('slices', 'p0', '0x0'),
                          array('slices', 'p0', '0x0', '-ENXIO')],
                  [array('slices', 'p0', '0x8'),
                   array('slices', 'p0', '0x0,0x0')])
        self.both(start, empty('p0', args='release=0x0', flags='0x8'),
                  empty('p0', args='release=0x8', flags='0x8'))

    def test_fds(self):
        start = self.PAIR + [send('p1', '0x103', fds='m0,m2')]
        self.both(start, got('p0', '0x10', at=3, fds='m0,m2', rflags='0x2'),
                  [got('p0', '0x10', at=3, fds='m2,m0', rflags='0x2'),
                   got('p0', '0x10', at=3, fds='m0,m2')])
        self.both(self.PAIR, send('p1', '0x103', fds='p0', ret='-EOPNOTSUPP'),
                  send('p1', '0x103', fds='p0'))

    def test_precedence(self):
        down = self.PAIR + ['disconnect fd=p1 flags=0x0 -> ret=0']
        self.both(down, send('p1', '0x999', ret='-ESHUTDOWN'),
                  [send('p1', '0x999', ret='-ENXIO'),
                   send('p1', '0x103', flags=64, ret='-ESHUTDOWN'),
                   send('p5', '0x103', flags=64, ret='-EINVAL')])
        self.both(self.PAIR, send('p1', '0x999', fds='bad', ret='-EBADF'),
                  send('p1', '0x999', fds='bad', ret='-ENXIO'))

    def test_end(self):
        line = '0 open slot=p0 limits=none flags=0x0 -> ret=0'
        self.assertIsNone(check([HEAD, line]))
        for end in ('# died SEGV', '# hung'):
            self.assertEqual(check([HEAD, line, end]).label, 0)

    def test_poll(self):
        self.both(self.PAIR, 'poll fd=p0 -> revents=OUT',
                  'poll fd=p0 -> revents=IN|OUT')
        self.both(self.PAIR + [send('p1', '0x103')],
                  'poll fd=p0 -> revents=IN|OUT', 'poll fd=p0 -> revents=OUT')
        self.both(['open slot=p0 limits=none flags=0x0 -> ret=0',
                   'disconnect fd=p0 flags=0x0 -> ret=0'],
                  'poll fd=p0 -> revents=HUP', 'poll fd=p0 -> revents=OUT|HUP')

    def test_adopt(self):
        start = opened('p0') + ['euid uid=1001 -> ret=0']
        adopted = start + [reset('p0', '0x7'), send('p0', '0x14')]
        self.both(adopted, got('p0', '0x10', at=3, uid=1001),
                  got('p0', '0x10', at=3))
        self.both(start, reset('p0', '0x4', '-EINVAL'), reset('p0', '0x4'))

    def test_new_id_reuse(self):
        start = opened('p0') + [send('p0', '0x14'),
                                array('destroy', 'p0', '0x10', flags='0x1')]
        self.both(start, send('p0', '0x14', ret='-EEXIST'), send('p0', '0x14'))
        start.append(got('p0', '0x10', at=1))
        self.both(start, send('p0', '0x14'), send('p0', '0x14', ret='-EEXIST'))

    def test_failed_send_moves_notice(self):
        start = opened('p0', 'p1') + [
            transfer('p0', 'p1', '0x14,0x1c', '0x103,0x203'),
            array('release', 'p1', '0x103'), array('release', 'p1', '0x203'),
            send('p0', '0x999', handles='0x10', ret='-ENXIO')]
        one, two = notice('p0', 3, '0x10'), notice('p0', 3, '0x18')
        self.good(*start, one, two, empty('p0'))
        self.good(*start, two, one, empty('p0'))
        self.bad(*start, two, two)

    def test_call(self):
        start = self.PAIR
        line = send('p1', '0x103', op='call', flags=4,
                    more='reply_id=0x40 reply_bytes=8 max_offset=0x1000')
        self.both(start, [line + ' error=-EAGAIN type=0',
                          got('p0', '0x10', at=3, reply='0x100b')],
                  line + ' error=0 type=0')

    def test_call_release(self):
        start = self.PAIR + [send('p1', '0x103'), got('p0', '0x10', at=3)]
        line = send('p0', '%s', op='call', ret='%s', more='max_offset=0x1000 '
                    'release=0x0') .replace('flags=0x0', 'flags=0x80000')
        self.both(start, [line % ('0x999', '-ENXIO'),
                          array('slices', 'p0', '0x0')],
                  [line % ('0x999', '0'),
                   [line % ('0x999', '-ENXIO'),
                    array('slices', 'p0', '0x0', '-ENXIO')]])

    def test_call_waits_for_its_reply(self):
        start = self.PAIR + [transfer('p1', 'p1', '0x24', '0x20'),
                             send('p1', '0x20')]
        line = send('p1', '0x103', op='call', flags=4,
                    more='reply_id=0x40 reply_bytes=8 max_offset=0x1000')
        self.both(start, line + ' error=-EAGAIN type=0',
                  line + ' error=0 type=1 dest=0x20')

    def test_continue_too_large(self):
        start = opened('p0', limits='keep,keep,64,keep') + opened('p1') + [
            transfer('p0', 'p1', '0x14', '0x103')]
        self.both(start, send('p1', '0x103', '40', flags=1, err='-90'),
                  send('p1', '0x103', '40', flags=1, ret='-EMSGSIZE'))
        self.both(start, send('p1', '0x999', '40', flags=1, err='-6'),
                  send('p1', '0x999', '40', flags=1, ret='-ENXIO'))

    def test_flush_keeps_one_count(self):
        start = opened('p0') + [send('p0', '-', flags=2, handles='0x14'),
                                transfer('p0', 'p0', '0x10', '0x10')]
        self.both(start, array('release', 'p0', '0x10'),
                  array('release', 'p0', '0x10', '-EBUSY'))
        self.both(start + [reset('p0', '0x1')],
                  array('release', 'p0', '0x10', '-EBUSY'),
                  array('release', 'p0', '0x10'))

    def test_deadline(self):
        start = ['open slot=p0 limits=none flags=0x0 -> ret=0']
        line = ('recv fd=p0 max_offset=0x0 deadline=past flags=%s -> ret=-%s '
                'type=0')
        self.both(start, [line % ('0x0', 'ETIMEDOUT'), line % ('0x4', 'EAGAIN')],
                  [line % ('0x0', 'EAGAIN'), line % ('0x4', 'ETIMEDOUT')])

    def test_flags_match_counts(self):
        self.both(self.PAIR, send('p1', '0x103', flags=8, ret='-EINVAL'),
                  send('p1', '0x103', flags=8))
        self.both(self.PAIR, send('p1', '-', ret='-EINVAL'), send('p1', '-'))

    def test_notice_that_a_message_brings(self):
        """Released while a message in front still brings the handle."""
        start = opened('p0', 'p1') + [
            transfer('p0', 'p1', '0x14', '0x103'),
            transfer('p1', 'p0', '0x24', '0x203'),
            send('p0', '0x203', handles='0x10'), array('destroy', 'p0', '0x10'),
            array('release', 'p1', '0x103')]
        self.both(start, [got('p1', '0x20', at=4, handles='0x303'),
                          notice('p1', 2, '0x303')],
                  [got('p1', '0x20', at=4, handles='0x103'),
                   [got('p1', '0x20', at=4, handles='0x303'), empty('p1')]])


if __name__ == '__main__':
    unittest.main()
