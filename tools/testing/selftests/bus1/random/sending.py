# SPDX-License-Identifier: GPL-2.0
"""bus1_send and bus1_call."""

import errno

from calls import id_list, num
from receiving import (
    RECV_PIDFD, RECV_RELEASE, RECV_REPLY, RECV_SEED, RECV_SIZE, Receiving)
from state import (
    ARRAY, CANCELLED, DATA, DEST_MAX, FD_MAX, HANDLE_MAX, INT_MAX, INVALID, LOOSE,
    NEW, OWN, REPLIED, VEC_MAX, Message, Mismatch, Node, Request, slice_size)

SEND_SIZE = 104
CONTINUE, SEED, REPLY, WITH_HANDLES, WITH_FDS = 1, 2, 4, 8, 16
MAX_RW_COUNT = 0x7ffff000
PAYLOAD_MAX = (1 << 20)          # what the player has
ERR_FILL = 0x5a5a5a5a
REFUSED = {'EHOSTUNREACH', 'EDQUOT', 'EXFULL'}
# What is about one destination, and not a mistake in the call itself.
MISNAMED = {'ENXIO', 'ENOTUNIQ', 'EINVAL'}
SKIPPED = REFUSED | MISNAMED | {'EMSGSIZE'}


def err_list(text):
    """The values of ptr_errors, as numbers or as names."""
    if text is None or text == '-':
        return []
    return [-getattr(errno, v[1:]) if v.startswith('-E') else int(v, 0)
            for v in text.split(',')]


def number(name):
    return -getattr(errno, name)


class Send:
    """One send, resolved step by step."""

    def __init__(self, args, flags, wide):
        self.args, self.flags = args, flags
        self.nd, self.nh = num(args, 'nd'), num(args, 'nh')
        self.nf, self.nv = num(args, 'nf'), num(args, 'nv')
        self.vecs = [] if args.get('vecs', '-') == '-' else [
            int(v, 0) for v in args['vecs'].split('+')][:self.nv]
        self.total = sum(self.vecs)
        self.ssize_max = (1 << 63) - 1 if wide else INT_MAX
        self.dest_ids = id_list(args.get('dests'))[:self.nd]
        self.handle_ids = id_list(args.get('handles'))[:self.nh]
        fds = args.get('fds', '-')
        self.fds = ([] if fds == '-' else fds.split(','))[:self.nf]
        self.fds += ['m0'] * (min(self.nf, FD_MAX) - len(self.fds))
        self.reply_id = num(args, 'reply_id')
        self.new, self.wrong = {}, set()
        self.dests, self.handles = [], []
        self.dest_errors = [set() for _ in self.dest_ids]
        self.taken = []         # what was charged: (peer, payer, cost)
        self.refused = [set() for _ in self.dest_ids]


class Sending(Receiving):
    wide = True     # whether SSIZE_MAX has 63 bits

    # -- what is seen in the arguments alone

    def send_errors(self, s):
        args, flags = s.args, s.flags
        errors = self.struct_errors(args, SEND_SIZE)
        if flags & ~31:
            errors.add('EINVAL')
        if bool(flags & WITH_HANDLES) != bool(s.nh):
            errors.add('EINVAL')
        if bool(flags & WITH_FDS) != bool(s.nf):
            errors.add('EINVAL')
        if (s.nd > DEST_MAX or s.nh > HANDLE_MAX or s.nf > FD_MAX or
                s.nv > VEC_MAX or s.total > MAX_RW_COUNT):
            errors.add('EMSGSIZE')
        if any(v > s.ssize_max for v in s.vecs):
            errors.add('EINVAL')
        if bool(flags & SEED) == bool(s.nd):
            errors.add('EINVAL')
        if flags & CONTINUE and flags & (SEED | REPLY):
            errors.add('EINVAL')
        for n, key in ((s.nd, 'dptr'), (s.nv, 'vptr'), (s.nh, 'hptr'),
                       (s.nf, 'fptr')):
            if n and args.get(key) in ('null', 'bad', 'kernel'):
                errors.add('EFAULT')
        if any(i & NEW and i & 3 for i in s.dest_ids + s.handle_ids):
            errors.add('EINVAL')
        if s.nd and args.get('errors') == 'bad':
            errors.add('EFAULT')
        return errors | self.reply_errors(s) | self.fd_errors(s)

    def reply_errors(self, s):
        args, errors = s.args, set()
        maxima = [num(args, 'reply_' + k) for k in ('bytes', 'handles', 'fds')]
        if not s.flags & REPLY:
            return {'EINVAL'} if s.reply_id or any(maxima) else errors
        if s.nd != 1 or s.flags & SEED:
            errors.add('EINVAL')
        if s.reply_id & 7:
            errors.add('EINVAL')
        if (maxima[0] > MAX_RW_COUNT or maxima[1] > HANDLE_MAX or
                maxima[2] > FD_MAX):
            errors.add('EMSGSIZE')
        return errors

    # -- names

    def resolve_all(self, peer, s):
        """Destinations, then handles, in array order (section 7)."""
        for i, ident in enumerate(s.dest_ids):
            errors = s.dest_errors[i]
            dest = self.resolve(peer, ident, s.new, errors)
            if s.flags & CONTINUE:
                dest = self.skip_misnamed(s, dest, errors)
                s.wrong |= errors - MISNAMED
            else:
                s.wrong |= errors
            s.dests.append(dest)
        for ident in s.handle_ids:
            s.handles.append(self.resolve(peer, ident, s.new, s.wrong))
        known = [d for d in s.dests if d]
        if len(set(known)) < len(known):
            s.wrong.add('ENOTUNIQ')
            for e in s.dest_errors:
                e.add('ENOTUNIQ')
        if s.flags & REPLY:
            if s.reply_id in s.new or peer.id_in_use(s.reply_id):
                s.wrong.add('EEXIST')
        self.reply_handle_errors(s)

    def skip_misnamed(self, s, dest, errors):
        """With CONTINUE a destination that cannot be one is passed over."""
        if isinstance(dest, Request):
            errors.add('EINVAL')
        elif dest and dest in s.dests:
            errors.add('ENOTUNIQ')
        return None if errors else dest

    def reply_handle_errors(self, s):
        """A reply handle: one destination, once, no CONTINUE..."""
        to = [d for d in s.dests if isinstance(d, Request)]
        moved = [h for h in s.handles if isinstance(h, Request)]
        if to and (s.nd != 1 or s.flags & (CONTINUE | REPLY)):
            s.wrong.add('EINVAL')
        if moved and (s.nd != 1 or s.flags & (CONTINUE | SEED)):
            s.wrong.add('EINVAL')
        if len(set(moved)) < len(moved) or to and moved:
            s.wrong.add('EINVAL')
        if 'EINVAL' in s.wrong:
            for e in s.dest_errors:
                e.add('EINVAL')

    def fd_errors(self, s):
        """Descriptors are arguments: they come before the names."""
        errors = set()
        for name in s.fds:
            if name == 'bad' or (name[0] == 'p' and name[1:].isdigit() and
                                 not self.peer(name)):
                errors.add('EBADF')
            elif name == 'uring':
                errors |= {'EBADF', 'EOPNOTSUPP'}
            elif name == 'unix' or name[1:].isdigit() and name[0] == 'p':
                errors.add('EOPNOTSUPP')
        return errors

    # -- charges

    def take_charge(self, s, peer, payer, cost):
        peer.charge(payer, cost)
        s.taken.append((peer, payer, cost))

    def own_charges(self, peer, s):
        """New nodes, the reply asked for, the seed: the sender's limits."""
        cost = [0, len(s.new), 0, 0]
        if s.flags & REPLY:
            for r, c in enumerate(self.new_request(peer, s).budget()):
                cost[r] += c
            cost[1] += 1        # the request's own handle
        if s.flags & SEED:
            for r, c in enumerate(s.message_cost):
                cost[r] += c
        refused = peer.own_refusals(cost)
        if not refused:
            self.take_charge(s, peer, OWN, cost)
        return refused

    def new_request(self, peer, s):
        return Request(peer, s.reply_id, num(s.args, 'reply_bytes'),
                       num(s.args, 'reply_handles'), num(s.args, 'reply_fds'))

    def charge_dests(self, peer, s):
        """Each destination in turn; refused ones charge nothing."""
        user = peer.ident[1]
        for i, dest in enumerate(s.dests):
            if not dest:
                s.refused[i] = set(s.dest_errors[i])
                continue
            s.refused[i] = self.refusal(peer, dest, s, user)
            if not s.refused[i] and isinstance(dest, Node):
                self.take_charge(s, dest.owner, user, s.message_cost)

    def refusal(self, peer, dest, s, user):
        if isinstance(dest, Request):
            if dest.state == CANCELLED or dest.peer.down:
                return {'EHOSTUNREACH'}
            fits = (s.total <= dest.max_bytes and s.nh <= dest.max_handles and
                    s.nf <= dest.max_fds)
            return set() if fits else {'EMSGSIZE'}
        if dest.died is not None or dest.owner.down:
            return {'EHOSTUNREACH'}
        return dest.owner.share(user, s.message_cost)

    # -- the call

    def op_send(self, label, args, res):
        s = Send(args, num(args, 'flags'), self.wide)
        return self.send(label, s, res, set(), set())[1]

    def send(self, label, s, res, early, names_too):
        """(whether it was sent, other states)."""
        args = s.args
        peer = self.peer(args.get('fd'))
        s.res_err = err_list(res.get('err'))
        early = early | self.send_errors(s)
        late = {'EFAULT'} if self.unreadable(s) else set()
        # the kernel's side of memory may be refused without a look at how long
        maybe = {'EFAULT'} if args.get('vbase') == 'kernel' else set()
        if not peer or early or peer.down:
            if not s.res_err or args.get('errors') != '1':
                s.res_err = None
            self.settle(res, self.bad_fd(args), early, self.shut(peer),
                        late=late, maybe=maybe)
            self.check_unwritten(s, late)
            return False, None
        self.resolve_all(peer, s)
        s.wrong |= names_too
        if s.wrong:
            return self.not_sent(peer, s, res, late, maybe, s.wrong)
        return self.charged(label, peer, s, res, late, maybe)

    def unreadable(self, s):
        """Whether a part of the payload is not in memory."""
        bad = s.args.get('vbase') and s.vecs and s.vecs[-1]
        return bad or s.total > PAYLOAD_MAX

    def not_sent(self, peer, s, res, late, maybe, wrong):
        self.settle(res, wrong, late=late, maybe=maybe)
        self.check_errors(s, res, True)
        return False, self.moved_notices(peer, s.dests + s.handles)

    def charged(self, label, peer, s, res, late, maybe):
        slots = [None if isinstance(h, Request) and h.state == CANCELLED else h
                 for h in s.handles]
        message = Message(label, s.total, slots,
                          ['?' if f == 'path' else f for f in s.fds], peer.ident, peer.ident[1],
                          self.place)
        s.message_cost = message.cost()
        fatal = self.own_charges(peer, s)
        self.charge_dests(peer, s)
        for why in s.refused:
            fatal = fatal | (why - SKIPPED if s.flags & CONTINUE else why)
        if s.flags & CONTINUE and all(s.refused) and late:
            maybe, late = maybe | late, set()   # perhaps none was copied
        try:
            sent = self.settle(res, fatal, late=late, maybe=maybe)
            # refused if anything is certain, so a failure here is one of these
            self.check_errors(s, res, not sent)
        except Mismatch:
            self.give_back(s)
            raise
        if not sent:
            self.give_back(s)
            return False, self.moved_notices(peer, s.dests + s.handles)
        self.commit(peer, s, message)
        if s.flags & CONTINUE and any(s.refused):
            # a refused destination may have moved a notice that still stands
            return True, self.moved_notices(peer, s.handles)
        return True, None

    def give_back(self, s):
        for peer, payer, cost in reversed(s.taken):
            peer.uncharge(payer, cost)

    # -- ptr_errors

    def check_unwritten(self, s, late):
        """Before the destinations are looked up nothing is written."""
        for e in s.res_err or ():
            if e != ERR_FILL and not late:
                raise Mismatch('err not written', 'err=%d' % e)

    def check_errors(self, s, res, failed):
        """One value per destination, 0 for each that is not the cause."""
        if s.args.get('errors') != '1' or not s.dest_ids:
            return
        errs = s.res_err
        if failed and all(e == ERR_FILL for e in errs):
            if self.unreadable(s) or s.args.get('vbase') == 'kernel':
                return          # perhaps it was not that far
        if len(errs) != len(s.dest_ids):
            raise Mismatch('%d errors' % len(s.dest_ids), res.get('err', '?'))
        named = set()
        for i, e in enumerate(errs):
            causes = s.refused[i] | (s.dest_errors[i] if failed else set())
            allowed = {number(c) for c in causes}
            if failed or not causes:
                allowed.add(0)
            if e not in allowed:
                raise Mismatch('err[%d] of %s' % (i, sorted(allowed)),
                               'err[%d]=%d' % (i, e))
            named.add(e)
        ret = res.get('ret', '0').lstrip('-')
        blamed = any(ret in (s.refused[i] | s.dest_errors[i])
                     for i in range(len(errs)))
        if failed and blamed and ret in REFUSED and number(ret) not in named:
            raise Mismatch('the cause in err', 'err=' + res['err'])

    # -- what a send does

    def commit(self, peer, s, message):
        for node in s.new.values():
            self.create(node)
            peer.uncharge(OWN, (0, 1, 0, 0))    # own_charges had it
        if s.flags & SEED:
            return self.new_seed(peer, message)
        for dest, why in zip(s.dests, s.refused):
            if why:
                continue
            m = Message(message.label, message.n_bytes, list(message.slots),
                        message.fds, message.ident, message.payer,
                        message.place)
            for slot in m.slots:
                if isinstance(slot, Node):
                    self.add_ref(slot)
            if isinstance(dest, Request):
                target = dest.peer
                self.commit_reply(dest, m)
            else:
                target, m.node = dest.owner, dest
            self.move_replies(m, target)
            if s.flags & REPLY:
                m.request = req = self.new_request(peer, s)
                req.holder = target
                peer.requests[req.id] = req
            self.enqueue(target, DATA, ARRAY, m)
            peer.n_sent += 1

    def move_replies(self, m, target):
        for slot in m.slots:
            if isinstance(slot, Request):
                del slot.holder.replies[slot.hid]
                slot.holder, slot.hid = target, None

    def commit_reply(self, req, m):
        """What was not used of the budget is given back, and the handle."""
        del req.holder.replies[req.hid]
        req.holder = req.hid = None
        req.state, m.answers, m.payer = REPLIED, req, OWN
        req.peer.uncharge(OWN, req.budget())
        req.peer.uncharge(OWN, (0, 1, 0, 0))
        req.peer.charge(OWN, m.cost())

    def new_seed(self, peer, message):
        message.payer = OWN
        for slot in message.slots:
            self.add_ref(slot)
        old, peer.seed = peer.seed, message
        if old:
            self.drop_message(peer, old, LOOSE)

    def op_call(self, label, args, res):
        """Send, then receive on the same peer, in one entry."""
        flags = num(args, 'flags')
        s = Send(args, flags & 0xffff, self.wide)
        rflags = flags >> 16
        peer = self.peer(args.get('fd'))
        early = self.struct_errors(args, RECV_SIZE, 'r')
        early |= self.recv_errors(rflags, 0x3f & ~(RECV_PIDFD | RECV_SEED |
                                                   RECV_REPLY))
        if 'buf' in args and args.get('bptr') == 'odd':
            early.add('EINVAL')
        if args.get('rptr') == 'ro':
            early.add('EFAULT')
        if s.flags & SEED:
            early.add('EINVAL')
        offset = num(args, 'release', INVALID)
        release = rflags & RECV_RELEASE and offset != INVALID
        wrong = set()
        if peer and release and offset not in peer.slices:
            wrong.add('ENXIO')
        sent, others = self.send(label, s, res, early, wrong)
        if not sent:
            return others
        good, wrong = [], None
        for state in [self] + (others or []):
            try:
                if release:
                    state.drop_slice(state.slots[args['fd']], offset)
                state.call_receive(state.slots[args['fd']], s, args, rflags,
                                   res)
                good.append(state)
            except Mismatch as m:
                wrong = wrong or m
        if self in good:
            return good[1:]
        wrong.others = good
        raise wrong

    def call_receive(self, peer, s, args, rflags, res):
        found = res.get('error', '?').lstrip('-')
        values = dict(args)
        if s.flags & REPLY:
            rflags |= RECV_REPLY
            values['req'] = hex(s.reply_id)
        self.receive(peer, values, rflags, res, found)
        if rflags & RECV_RELEASE:
            self.same(res, 'release', INVALID)
