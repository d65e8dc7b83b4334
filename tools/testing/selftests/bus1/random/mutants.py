#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Wrong rules: a trace that no wrong rule contradicts tests nothing.

	mutants.py TRACE...

Each mutant is the model with one rule misunderstood. It must find a difference
in a trace in which the right model finds none; one that does not shows what
the sequences never reach.
"""

import os
import sys
import types

MODULES = ('state', 'calls', 'receiving', 'sending', 'model')
HERE = os.path.dirname(os.path.abspath(__file__))

# name, file, what stands there exactly once, what a misunderstanding makes of it
MUTANTS = (
    ('queue is a stack', 'state.py',
     'peer.queue.append(entry)', 'peer.queue.insert(0, entry)'),
    ('the denominator is n', 'state.py',
     'elif (s + c) * (n + 1) > limit - used + s:',
     'elif (s + c) * n > limit - used + s:'),
    ('own use is not added back', 'state.py',
     'elif (s + c) * (n + 1) > limit - used + s:',
     'elif (s + c) * (n + 1) > limit - used:'),
    ('this claimant counts only when it holds', 'state.py',
     'n = others + 1 ', 'n = others + (1 if s else 0) '),
    ('EMSGSIZE only beyond the limit', 'state.py',
     'if 2 * c > limit:', 'if c > limit:'),
    ('EXFULL when this claimant holds nothing, only', 'state.py',
     'if c * (empty + 1) > limit - used:', 'if not s:'),
    ('EXFULL goes before EMSGSIZE', 'state.py',
     "('EMSGSIZE', 'EXFULL', 'EDQUOT')", "('EXFULL', 'EMSGSIZE', 'EDQUOT')"),
    ('what the peer pays is a claimant', 'state.py',
     'if payer is not OWN:\n', 'if True:\n'),
    ('slices are charged by whole words', 'state.py',
     '+ 8 * n_handles + 4 * n_fds', '+ 8 * n_handles + (4 * n_fds + 7 & ~7)'),
    ('payload is not padded', 'state.py',
     '(n_bytes + 7 & ~7) + 8', 'n_bytes + 8'),
    ('a moved reply handle is charged', 'state.py',
     'sum(isinstance(s, Node) for s in slots)', 'len(slots)'),
    ('own limits reach one further', 'state.py',
     'used[r] + cost[r] > self.limits[r]', 'used[r] + cost[r] >= self.limits[r]'),
    ('a user has room for whatever its peers ask for', 'calls.py',
     "return {'ENOSPC'}", 'return set()'),
    ('a release notice stays', 'state.py',
     'node.refs += n\n        if node.notice:',
     'node.refs += n\n        if False:'),
    ('a release notice stays beside the destruction', 'state.py',
     'if node.notice:\n            owner.queue.remove',
     'if False:\n            owner.queue.remove'),
    ('unread messages are no references', 'state.py',
     'self.drop_ref(handle.node, order, n)\n',
     'handle.count or self.drop_ref(handle.node, order, handle.node.refs)\n'),
    ('a destruction notice is not withdrawn', 'state.py',
     'if not e.lingers:\n                    peer.queue.remove(e)', 'pass'),
    ('unread handles get no destruction notice', 'state.py',
     'if node in peer.handles or peer.brings(node):',
     'if node in peer.handles:'),
    ('a handle is INVALID when it is dead on receipt', 'state.py',
     'return node.died is not None and node.died < self.place',
     'return node.died is not None'),
    ('a known handle gets a new ID', 'state.py',
     'handle = peer.handles.get(node)\n        if handle:\n            if ident',
     'handle = peer.handles.get(node)\n        if 0:\n            if ident'),
    ('REMOTE on every reply handle', 'state.py',
     'REMOTE if req.peer is not peer else 0', 'REMOTE'),
    ('a released handle comes back with its old ID', 'state.py',
     'del peer.handles[node]\n', 'pass\n'),
    ("the owner's IDs are free at once", 'state.py',
     'return True\n        if ident not in self.old:',
     'return True\n        if True:'),
    ('cancelling frees the request\'s handle', 'state.py',
     'req.peer.uncharge(OWN, req.budget())\n        if tell',
     'req.peer.uncharge(OWN, [a + b for a, b in zip(req.budget(), '
     '(0, 1, 0, 0))])\n        if tell'),
    ('cancelling is not told to the holder', 'state.py',
     'if tell and not req.holder.down:', 'if False:'),
    ('a drop keeps the budget', 'state.py',
     'req.state = DROPPED\n            req.peer.uncharge(OWN, req.budget())',
     'req.state = DROPPED'),
    ('a flush keeps no node for the seed', 'state.py',
     's.owner is peer and s.died is None}', 'False}'),
    ('a flush keeps slices', 'state.py',
     'for offset in list(peer.slices):', 'for offset in ():'),
    ("a flush keeps the owner's counts", 'state.py',
     'handle.count = 1\n            else:', 'pass\n            else:'),
    ('reply handles are not dropped by a flush', 'state.py',
     'for req in list(peer.replies.values()):', 'for req in ():'),
    ('the last own reference can be released', 'calls.py',
     'times >= handle.count):', 'times > handle.count):'),
    ('destroying twice is ENXIO', 'calls.py',
     "return 'ESTALE' if handle.node.died", "return 'ENXIO' if handle.node.died"),
    ('a reply in the queue can be cancelled', 'calls.py',
     "return '' if req.state == PENDING else 'ESTALE'", "return ''"),
    ("RELEASE_HANDLES keeps the owner's reference", 'calls.py',
     'if quiet and isinstance(what, Node):', 'if False:'),
    ('adopt works with charges left', 'calls.py',
     "busy = adopt and any(peer.used)", 'busy = False'),
    ('adopt keeps the identity', 'calls.py',
     'peer.ident = (self.pid, self.euid, self.gid)\n\n', 'pass\n\n'),
    ('ADOPT needs one flush', 'calls.py',
     'if flags & RESET_ADOPT and flags & 3 != 3:',
     'if flags & RESET_ADOPT and not flags & 3:'),
    ('a known ID with NEW is that node', 'calls.py',
     'if ident in new or peer.id_in_use(ident):', 'if ident in new:'),
    ('transfers are not charged', 'calls.py',
     'if self.show(dst, what, ident, OWN, name):',
     'if not self.show(dst, what, ident, OWN, name):'),
    ('the last node of a call dies first', 'calls.py',
     "wrong.discard('')\n", "wrong.discard('')\n            doomed.reverse()\n"),
    ('reply handles are not told apart', 'state.py',
     'REPLY_HANDLE | remote, what', 'remote, what'),
    ('poll tells IN for messages only', 'calls.py',
     'elif peer.front():', 'elif any(e.kind == DATA for e in peer.queue):'),
    ('reply handles are not in n_handles', 'calls.py',
     'len(peer.handles) + len(peer.replies)', 'len(peer.handles)'),
    ('shutdown goes after names', 'calls.py',
     'errors, self.shut(peer),\n                           wrong):\n            return\n        for ident in ids:\n            if ident in peer.replies',
     'errors, wrong,\n                           self.shut(peer)):\n            return\n        for ident in ids:\n            if ident in peer.replies'),
    ('a buffer is not looked at', 'receiving.py',
     "if 'buf' not in args or args.get('bptr') == 'null':", 'if True:'),
    ('a buffer needs room for the payload alone', 'receiving.py',
     "return m.size <= min(num(args, 'buf'), INLINE_MAX)",
     "return m.size <= INLINE_MAX and m.n_bytes <= num(args, 'buf')"),
    ('a buffer takes what is large, too', 'receiving.py',
     "return m.size <= min(num(args, 'buf'), INLINE_MAX)",
     "return m.size <= num(args, 'buf')"),
    ('small is less than the maximum', 'receiving.py',
     "return m.size <= min(num(args, 'buf'), INLINE_MAX)",
     "return m.size <= min(num(args, 'buf'), INLINE_MAX - 1)"),
    ('what went to a buffer stays charged', 'receiving.py',
     'peer.uncharge(payer, (1, 0, m.size, 0))', 'pass'),
    ('a bad buffer loses the message', 'receiving.py',
     'return self.cannot_store(res, found)\n        if found == \'ERANGE\' and entry',
     'peer.queue.remove(entry)\n'
     '            return self.cannot_store(res, found)\n'
     '        if found == \'ERANGE\' and entry'),
    ('a small message keeps its place in the pool', 'receiving.py',
     'if m.size > INLINE_MAX:\n            m.offset', 'if True:\n            m.offset'),
    ('the release is undone when nothing is there', 'receiving.py',
     'self.drop_slice(peer, offset)\n        ret =', 'pass\n        ret ='),
    ('NONBLOCK gives way to the deadline', 'receiving.py',
     'if not flags & RECV_NONBLOCK and not peer.nonblock:',
     "if args.get('deadline') == 'past':"),
    ('MORE is told for each message of a sender', 'receiving.py',
     'peer.next_place(skip) == entry.place)',
     'peer.next_place(skip) is not None)'),
    ('a multicast has no MORE', 'receiving.py',
     'more = (entry.kind == DATA and', 'more = (False and'),
    ('replies that are fetched never overtake', 'receiving.py',
     'high += i < at or beside', 'low = high = 0'),
    ('n_overtaken counts the reply itself', 'receiving.py',
     'low += i < at and', 'low += i <= at and'),
    ('ERANGE leaves the type', 'receiving.py',
     "'off=' + res.get('off', '?'))\n        self.same(res, 'type', NONE)",
     "'off=' + res.get('off', '?'))\n        self.same(res, 'type', DATA)"),
    ('an empty slice must be mapped', 'receiving.py',
     "if m.size and offset + m.size > num(args, 'max_offset'):",
     "if offset + m.size > num(args, 'max_offset'):"),
    ('descriptors without INSTALL_FDS', 'receiving.py',
     "if flags & RECV_INSTALL_FDS else ['-1'] * len(m.fds)", ''),
    ('descriptors are charged until released', 'receiving.py',
     '(0, m.carried, 0, len(m.fds)))', '(0, m.carried, 0, 0))'),
    ('carried handles are charged once they are known', 'receiving.py',
     'elif self.show(peer, slot, ident, m.payer, what):',
     'elif [self.show(peer, slot, ident, m.payer, what)]:'),
    ('a reply frees its ID when it is sent', 'sending.py',
     'req.state, m.answers, m.payer = REPLIED, req, OWN',
     'req.state, m.answers, m.payer = REPLIED, req, OWN\n'
     '        req.peer.requests.pop(req.id)'),
    ('a reply keeps its whole budget', 'sending.py',
     'req.peer.charge(OWN, m.cost())', 'req.peer.charge(OWN, req.budget())'),
    ("a reply keeps the request's handle until it is read", 'sending.py',
     'req.peer.uncharge(OWN, (0, 1, 0, 0))\n', 'pass\n'),
    ('a reply can be any size', 'sending.py',
     "set() if fits else {'EMSGSIZE'}", "set()"),
    ('reply_id is not in the way of nodes', 'sending.py',
     'if s.reply_id in s.new or peer.id_in_use(s.reply_id):',
     'if s.reply_id in s.new:'),
    ('CONTINUE fails on what is too large', 'sending.py',
     "SKIPPED = REFUSED | MISNAMED | {'EMSGSIZE'}",
     "SKIPPED = REFUSED | MISNAMED"),
    ('CONTINUE fails on a dead node', 'sending.py',
     "REFUSED = {'EHOSTUNREACH', 'EDQUOT', 'EXFULL'}",
     "REFUSED = {'EDQUOT', 'EXFULL'}"),
    ('CONTINUE fails on an unknown handle', 'sending.py',
     "MISNAMED = {'ENXIO', 'ENOTUNIQ', 'EINVAL'}",
     "MISNAMED = {'ENOTUNIQ', 'EINVAL'}"),
    ('CONTINUE fails on a destination named twice', 'sending.py',
     "MISNAMED = {'ENXIO', 'ENOTUNIQ', 'EINVAL'}",
     "MISNAMED = {'ENXIO', 'EINVAL'}"),
    ('CONTINUE fails on a reply handle', 'sending.py',
     "MISNAMED = {'ENXIO', 'ENOTUNIQ', 'EINVAL'}",
     "MISNAMED = {'ENXIO', 'ENOTUNIQ'}"),
    ('CONTINUE sends to none if one refuses', 'sending.py',
     "if why:\n                continue",
     "if any(s.refused):\n                continue"),
    ('the same destination twice is two messages', 'sending.py',
     "s.wrong.add('ENOTUNIQ')\n", 'pass\n'),
    ('reply handles in a multicast', 'sending.py',
     'if moved and (s.nd != 1 or s.flags & (CONTINUE | SEED)):', 'if False:'),
    ('HANDLES may be set without any', 'sending.py',
     'if bool(flags & WITH_HANDLES) != bool(s.nh):',
     'if s.nh and not flags & WITH_HANDLES:'),
    ('descriptors are looked at behind IDs', 'sending.py',
     'self.reply_errors(s) | self.fd_errors(s)', 'self.reply_errors(s)'),
    ('n_sent counts calls', 'sending.py',
     'peer.n_sent += 1', 'peer.n_sent += dest is s.dests[0]'),
    ('the old seed is dropped first', 'sending.py',
     'for r, c in enumerate(s.message_cost):\n                cost[r] += c',
     'old = peer.seed.cost() if peer.seed else (0,) * 4\n'
     '            for r, c in enumerate(s.message_cost):\n'
     '                cost[r] += c - old[r]'),
    ('the slice is released though the send failed', 'sending.py',
     'if not sent:\n            return others',
     "if not sent:\n            if release and not wrong and peer and offset "
     "in peer.slices:\n                self.drop_slice(peer, offset)\n"
     "            return others"),
    ('call takes any entry for its reply', 'sending.py',
     'rflags |= RECV_REPLY\n', 'pass\n'),
)


def sources():
    found = {}
    for name in MODULES:
        with open(os.path.join(HERE, name + '.py'), encoding='ascii') as f:
            found[name] = f.read()
    return found


def build(texts):
    """The modules, executed from these texts, as a model of their own."""
    saved = {name: sys.modules.pop(name, None) for name in MODULES}
    try:
        for name in MODULES:
            module = types.ModuleType(name)
            module.__file__ = name + '.py'
            sys.modules[name] = module
            exec(compile(texts[name], name + '.py', 'exec'), module.__dict__)
        return module
    finally:
        for name, module in saved.items():
            sys.modules.pop(name, None)
            if module:
                sys.modules[name] = module


def mutate(texts, file, old, new):
    name = file[:-3]
    if texts[name].count(old) != 1:
        raise ValueError('%s: %d times: %s' % (file, texts[name].count(old),
                                               old))
    return dict(texts, **{name: texts[name].replace(old, new)})


def noticed(model, traces):
    """The first difference; a model that breaks noticed something too."""
    for lines in traces:
        try:
            found = model.check(lines, model.Model)
        except Exception as e:      # wrong rules lead to impossible states
            return lines[0].split()[2], '?', type(e).__name__
        if found:
            return found.seed, found.label, found.line.split()[1]
    return None


def main(names):
    texts = sources()
    right = build(texts)
    traces = []
    for name in names:
        with open(name, encoding='ascii', errors='replace') as f:
            traces.extend(lines for lines in right.sequences(f)
                          if not right.check(lines))
    missed = 0
    for name, file, old, new in MUTANTS:
        found = noticed(build(mutate(texts, file, old, new)), traces)
        if found:
            print('noticed  %-52s seed %s label %s %s' % ((name,) + found))
        else:
            missed += 1
            print('MISSED   %s' % name)
    print('%d mutants, %d not noticed, %d sequences' %
          (len(MUTANTS), missed, len(traces)))
    return 1 if missed or not traces else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
