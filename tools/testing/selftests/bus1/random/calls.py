# SPDX-License-Identifier: GPL-2.0
"""The calls but send and receive: what each may answer, and what it does."""

import copy

from state import (
    ARRAY, DATA, DEFAULT_LIMITS, HANDLE_MAX, INT_MAX, INVALID,
    LOOSE, NEW, OWN, PENDING, USER_ROOM, Bus, Mismatch, Node, Peer, Request)

LIMITS_SIZE, INFO_SIZE, PAGE_SIZE = 32, 112, 4096
RESET_FLUSH, RESET_FLUSH_SEED, RESET_ADOPT = 1, 2, 4
LIMIT_NAMES = ('slices', 'handles', 'inflight_bytes', 'inflight_fds')


def num(values, key, default=0):
    text = values.get(key)
    return default if text is None else int(text, 0)


def id_list(text):
    if text is None or text == '-':
        return []
    return [int(x, 0) for x in text.split(',')]


def names(errors):
    return '|'.join('-' + e if e != '' else '0' for e in sorted(errors))


class Calls(Bus):
    """One method per call: op_NAME(label, arguments, results)."""

    def __init__(self, pid=0, uid=0, gid=0):
        super().__init__()
        self.pid, self.euid, self.gid = pid, uid, gid

    # -- what all calls have in common

    def peer(self, name):
        return self.slots.get(name)

    def settle(self, res, *groups, late=(), maybe=()):
        """Compare ret; True when the call worked.

        groups: the errors that apply, in the order of section 7: the first
        group that is not empty decides, within it any may be returned. late:
        errors that apply and whose place in this order the text leaves open.
        maybe: errors that are allowed and not demanded."""
        found = res.get('ret', '?')
        found = '' if found == '0' else found.lstrip('-')
        late, maybe = set(late), set(maybe)
        for group in groups:
            if group:
                allowed = set(group) | (set() if group == {'EBADF'}
                                        else late | maybe)
                break
        else:
            allowed = late | maybe if late else maybe | {''}
        if found not in allowed:
            raise Mismatch('ret=' + names(allowed), 'ret=' + res.get('ret', '?'))
        return not found

    def bad_fd(self, args, key='fd'):
        return set() if self.peer(args.get(key)) else {'EBADF'}

    def shut(self, peer):
        return {'ESHUTDOWN'} if peer and peer.down else set()

    def struct_errors(self, args, size0, prefix='', output=False):
        """Conventions of section 3; the alignment is that of section 7."""
        errors = set()
        size = num(args, prefix + 'size', size0)
        where = args.get(prefix + 'ptr')
        if size < size0:
            errors.add('EINVAL')
        if where == 'odd':
            errors.add('EINVAL')
        if where in ('null', 'bad', 'kernel'):
            errors.add('EFAULT')
        if size > size0 and args.get(prefix + 'tail') == '1' and not output:
            errors.add('E2BIG')
        if size > PAGE_SIZE:
            errors.add('E2BIG')
        return errors

    def limits_of(self, args):
        """The limits struct of open and reset: (errors, values)."""
        none = args.get('limits') == 'none'
        size = num(args, 'size', 0 if none else LIMITS_SIZE)
        null = args.get('ptr', 'null' if none else '') == 'null'
        if null and size == 0:
            return set(), [None] * 4
        if none:
            # a pointer to nothing in particular
            args = dict(args, size=str(size), limits='keep',
                        ptr='null' if null else args['ptr'])
        errors = self.struct_errors(args, LIMITS_SIZE)
        values = [None if v == 'keep' else int(v, 0)
                  for v in (['keep'] * 4 if args['limits'] == 'keep'
                            else args['limits'].split(','))]
        values = [None if v == INVALID else v for v in values]
        if any(v is not None and v > INT_MAX for v in values):
            # what cannot be read is not looked at
            errors.add('EINVAL')
        return errors, values

    # -- peers

    def no_room(self, uid, more):
        """ENOSPC if a user cannot reserve more than it has."""
        for r in range(4):
            have = sum(peer.reserved()[r] for peer in self.slots.values()
                       if peer.ident[1] == uid)
            if more[r] > 0 and have + more[r] > USER_ROOM[r]:
                return {'ENOSPC'}
        return set()

    def op_open(self, label, args, res):
        errors, limits = self.limits_of(args)
        if num(args, 'flags') & ~1:
            errors.add('EINVAL')
        values = [d if v is None else v
                  for v, d in zip(limits, DEFAULT_LIMITS)]
        name = args['slot']
        peer = Peer(name, (self.pid, self.euid, self.gid),
                    bool(num(args, 'flags') & 1), values)
        if self.settle(res, errors, self.no_room(self.euid, peer.reserved())):
            self.slots[name] = peer

    def op_close(self, label, args, res):
        if self.settle(res, self.bad_fd(args)):
            peer = self.slots.pop(args['fd'])
            if not peer.down:
                self.shut_down(peer)

    def op_disconnect(self, label, args, res):
        peer = self.peer(args.get('fd'))
        flags = {'EINVAL'} if num(args, 'flags') else set()
        if self.settle(res, self.bad_fd(args), flags, self.shut(peer)):
            self.shut_down(peer)

    def op_query(self, label, args, res):
        peer = self.peer(args.get('fd'))
        errors = self.struct_errors(args, INFO_SIZE, output=True)
        if num(args, 'flags'):
            errors.add('EINVAL')
        late = {'EFAULT'} if args.get('ptr') == 'ro' else ()
        if not self.settle(res, self.bad_fd(args), errors, self.shut(peer),
                           late=late):
            return
        low, high = peer.n_queued()
        live = sum(1 for n in peer.handles
                   if n.owner is peer and n.died is None)
        expected = {
            'n_nodes': live,
            'n_handles': len(peer.handles) + len(peer.replies),
            'n_sent': peer.n_sent, 'n_received': peer.n_received}
        for r, name in enumerate(LIMIT_NAMES):
            expected['max_' + name] = peer.limits[r]
            expected['used_' + name] = peer.used[r]
        for key, value in expected.items():
            self.same(res, key, value)
        if not low <= num(res, 'n_queued', -1) <= high:
            raise Mismatch('n_queued=%s' % (low if low == high else
                                            '%d..%d' % (low, high)),
                           'n_queued=' + res.get('n_queued', '?'))
        number = num(res, 'id')
        taken = {p.number for p in self.slots.values() if p is not peer}
        if number in taken or peer.number not in (None, number):
            raise Mismatch("the peer's own id", 'id=' + res['id'])
        peer.number = number

    def same(self, res, key, value):
        if num(res, key, -2) != value:
            raise Mismatch('%s=%s' % (key, hex(value) if value > 9999 else value),
                           '%s=%s' % (key, res.get(key, '?')))

    def op_reset(self, label, args, res):
        peer = self.peer(args.get('fd'))
        flags = num(args, 'flags')
        errors, limits = self.limits_of(args)
        if flags & ~7:
            errors.add('EINVAL')
        if flags & RESET_ADOPT and flags & 3 != 3:
            errors.add('EINVAL')
        if self.bad_fd(args) or errors or peer.down:
            self.settle(res, self.bad_fd(args), errors, self.shut(peer))
            return
        values = [o if v is None else v for v, o in zip(limits, peer.limits)]
        adopt = flags & RESET_ADOPT
        if not adopt:
            more = [new - old for new, old in zip(peer.reserved(values),
                                                  peer.reserved())]
            full = self.no_room(peer.ident[1], more)
            if full:
                self.settle(res, full)
                return
        if flags & RESET_FLUSH_SEED:
            self.drop_seed(peer, LOOSE)
        if flags & RESET_FLUSH:
            self.flush(peer, not flags & RESET_FLUSH_SEED)
        busy = adopt and any(peer.used)
        full = set()
        if adopt:
            # Room is needed for both, even if they are of one user.
            full = self.no_room(self.euid, Peer('', peer.ident, False,
                                                values).reserved())
        if not self.settle(res, full, {'EBUSY'} if busy else set()):
            return
        peer.limits = values
        if adopt:
            peer.ident = (self.pid, self.euid, self.gid)

    def op_euid(self, label, args, res):
        if self.settle(res):
            self.euid = num(args, 'uid')

    def op_poll(self, label, args, res):
        peer = self.peer(args.get('fd'))
        if not peer:
            return
        found = set(res.get('revents', '?').split('|'))
        found -= {'RDNORM', 'WRNORM', '0'}
        expected = {'OUT'}
        if peer.down:
            expected = {'HUP'}
        elif peer.front():
            expected.add('IN')
        if found != expected:
            raise Mismatch('revents=' + '|'.join(sorted(expected)),
                           'revents=' + res.get('revents', '?'))

    def op_check(self, label, args, res):
        """The bytes of a slice that was received stay as they are."""
        peer = self.peer(args.get('fd'))
        held = peer and peer.slices.get(num(args, 'off'))
        if held and 'crc' in res:
            self.same(res, 'crc', held.crc)

    # -- arrays of names

    def array_errors(self, args, ptr='ptr'):
        errors, n = set(), num(args, 'n')
        if n > HANDLE_MAX:
            errors.add('EMSGSIZE')
        if n and args.get(ptr) in ('null', 'bad', 'kernel'):
            errors.add('EFAULT')
        return errors

    def array_call(self, args, known_flags=0):
        """What release, destroy and slices check alike."""
        peer = self.peer(args.get('fd'))
        errors = self.array_errors(args)
        if num(args, 'flags') & ~known_flags:
            errors.add('EINVAL')
        ids = id_list(args.get('ids'))[:num(args, 'n')]
        return peer, errors, ids

    def op_release(self, label, args, res):
        peer, errors, ids = self.array_call(args)
        wrong = set()
        if peer and not errors:
            for ident in set(ids):
                times = ids.count(ident)
                if times > 1:
                    wrong.add('ENOTUNIQ')
                handle = peer.ids.get(ident)
                if not handle:
                    if ident not in peer.replies or times > 1:
                        wrong.add('ENXIO')
                    continue
                node = handle.node
                if (node.owner is peer and node.died is None and
                        times >= handle.count):
                    wrong.add('EBUSY')
                if times > handle.count:
                    wrong.add('ENXIO')
        if not self.settle(res, self.bad_fd(args), errors, self.shut(peer),
                           wrong):
            return
        for ident in ids:
            if ident in peer.replies:
                self.let_go(peer.replies[ident], LOOSE)
            else:
                self.release(peer, peer.ids[ident], 1, LOOSE)

    def op_destroy(self, label, args, res):
        peer, errors, ids = self.array_call(args, 1)
        wrong, doomed = set(), []
        if peer and not errors:
            if len(set(ids)) < len(ids):
                wrong.add('ENOTUNIQ')
            for ident in ids:
                wrong.add(self.why_not_destroy(peer, ident, doomed))
            wrong.discard('')
        if not self.settle(res, self.bad_fd(args), errors, self.shut(peer),
                           wrong):
            return
        quiet = num(args, 'flags') & 1
        for what in doomed:
            if isinstance(what, Node):
                self.place += 1         # an event of its own
                self.destroy(what, ARRAY, not quiet)
            if quiet and isinstance(what, Node):
                self.release(peer, peer.handles[what], 1, ARRAY)
        for what in doomed:
            if isinstance(what, Request):
                self.place += 1         # and so is each request
                self.cancel(what, ARRAY)

    def why_not_destroy(self, peer, ident, doomed):
        req = peer.requests.get(ident)
        if req:
            doomed.append(req)
            return '' if req.state == PENDING else 'ESTALE'
        if ident in peer.replies:
            return 'EREMOTE'
        handle = peer.ids.get(ident)
        if not handle:
            return 'ENXIO'
        if handle.node.owner is not peer:
            return 'EREMOTE'
        doomed.append(handle.node)
        return 'ESTALE' if handle.node.died is not None else ''

    def op_slices(self, label, args, res):
        peer, errors, ids = self.array_call(args)
        wrong = set()
        if peer and not errors:
            if len(set(ids)) < len(ids):
                wrong.add('ENOTUNIQ')
            if any(offset not in peer.slices for offset in ids):
                wrong.add('ENXIO')
        if self.settle(res, self.bad_fd(args), errors, self.shut(peer), wrong):
            for offset in ids:
                self.drop_slice(peer, offset)

    # -- transfer

    def op_transfer(self, label, args, res):
        src = self.peer(args.get('src'))
        dst = self.peer(args.get('dst'))
        bad = set() if src and dst else {'EBADF'}
        errors = self.array_errors(args, 'sptr')
        if num(args, 'flags'):
            errors.add('EINVAL')
        ids = id_list(args.get('ids'))[:num(args, 'n')]
        if any(i & NEW and i & 3 for i in ids):
            errors.add('EINVAL')
        wrong, new, whats, full = set(), {}, [], set()
        if not bad and not errors:
            whats = [self.resolve(src, i, new, wrong) for i in ids]
            if any(isinstance(w, Request) for w in whats):
                wrong.add('EINVAL')     # it moves in messages only
            if not wrong:
                full = self.transfer_charges(src, dst, new, whats)
        late = ()
        if ids and args.get('dptr') in ('null', 'bad', 'kernel', 'ro'):
            late = {'EFAULT'}
        down = self.shut(src) | self.shut(dst)
        if not self.settle(res, bad, errors, down, wrong, full, late=late):
            return self.moved_notices(src, whats)
        out = id_list(res.get('out'))
        if len(out) < len(ids):
            raise Mismatch('%d IDs in out' % len(ids), res.get('out', '?'))
        for node in new.values():
            self.create(node)
        for i, what in enumerate(whats):
            self.transfer_one(dst, what, out[i], 'out[%d]' % i)

    def transfer_charges(self, src, dst, new, whats):
        """New nodes to their owner, new handles to dst, all as its own."""
        full = src.own_refusals((0, len(new), 0, 0))
        fresh = {w for w in whats if isinstance(w, Node) and w.died is None and
                 w not in dst.handles and not w.owner is dst}
        if not full:
            full = dst.own_refusals((0, len(fresh), 0, 0))
        return full

    def transfer_one(self, dst, what, ident, name):
        if what.died is not None:
            if ident != INVALID:
                raise Mismatch(name + '=INVALID', hex(ident))
        else:
            if self.show(dst, what, ident, OWN, name):
                dst.charge(OWN, (0, 1, 0, 0))
            self.add_ref(what)

    def resolve(self, peer, ident, new, wrong):
        """A destination, payload or source: the node or reply handle."""
        if ident & NEW:
            ident &= ~NEW
            if ident in new or peer.id_in_use(ident):
                wrong.add('EEXIST')
            node = new[ident] = new.get(ident) or Node(peer, ident)
            return node
        if ident in new:
            return new[ident]
        handle = peer.ids.get(ident)
        if handle:
            return handle.node
        if ident in peer.replies:
            return peer.replies[ident]
        wrong.add('ENXIO')
        return None

    def moved_notices(self, peer, whats):
        """Section 2, rule 5: a failure may move the sender's own release
        notices to the end of its queue, unseen: the other states."""
        if not peer or peer.down:
            return []
        notices = {w.notice for w in whats or ()
                   if isinstance(w, Node) and w.notice and w.owner is peer}
        found = [self]
        for uid in sorted(n.uid for n in notices):
            for state in list(found):
                queue = state.slots[peer.slot].queue
                at = next(i for i, e in enumerate(queue) if e.uid == uid)
                if at < len(queue) - 1:
                    other = copy.deepcopy(state)
                    queue = other.slots[peer.slot].queue
                    entry = queue.pop(at)
                    # its place is behind everything, in no group
                    entry.order, entry.place = LOOSE, self.place
                    queue.append(entry)
                    found.append(other)
        return found[1:]
