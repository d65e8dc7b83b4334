#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The contract of bus1 (design/abi.md) as a program that checks traces.

	model.py [TRACE...]

Each sequence of a trace starts with "# seed N ..."; the first line of it that
the contract does not allow is reported, and the next sequence is tried. Where
a choice of the kernel's cannot be seen in the results, all states that it may
have led to are kept.
"""

import collections
import sys
import traceback

from sending import Sending
from state import Mismatch

sys.setrecursionlimit(20000)    # for copies of the state
MAX_STATES = 64

Difference = collections.namedtuple(
    'Difference', 'seed label line expected found')


class Model(Sending):
    """All states are instances of this; one call takes each a step further."""

    def signature(self):
        """States that look the same from now on have the same."""
        return tuple(
            (name, tuple(e.uid for e in p.queue), tuple(sorted(p.slices)))
            for name, p in sorted(self.slots.items()))


def step(states, op, label, args, res):
    """The states after the call; Mismatch when none is left."""
    after, first = [], None
    for state in states:
        call = getattr(state, 'op_' + op, None)
        if call is None:
            raise Mismatch('a known operation', op)
        state.place += 1
        try:
            others = call(label, args, res)
        except Mismatch as m:
            first = first or m
            after.extend(m.others)
            continue
        after.append(state)
        after.extend(others or ())
    if not after:
        raise first
    if len(after) > 1:
        unique = {}
        for state in after:
            unique.setdefault(state.signature(), state)
        after = list(unique.values())[:MAX_STATES]
    return after


def parse(line):
    """LABEL OP key=value ... -> key=value ..."""
    left, _, right = line.partition('->')
    words = left.split()
    args = dict(w.split('=', 1) for w in words[2:])
    res = dict(w.split('=', 1) for w in right.split())
    return int(words[0]), words[1], args, res


def header(line):
    """# seed N abi A pid P uid U gid G"""
    words = line[1:].split()
    return dict(zip(words[::2], words[1::2]))


def check(lines, Model=Model, count=None):
    """The first difference of one sequence, or None.

    count: a Counter of (op, errno) to add to."""
    seed, label, states = '?', '?', None
    for line in lines:
        line = line.strip()
        if line.startswith('# seed'):
            who = header(line)
            seed = who.get('seed', '?')
            first = Model(int(who.get('pid', 0)), int(who.get('uid', 0)),
                          int(who.get('gid', 0)))
            first.wide = who.get('abi', 'x86_64') == 'x86_64'
            states = [first]
            continue
        if line.startswith(('# died', '# hung')):
            return Difference(seed, label, line, 'the end of the sequence',
                              line)
        if not line or line.startswith('#'):
            continue
        try:
            label, op, args, res = parse(line)
            if count is not None:
                tell(count, op, res)
            states = step(states or [Model()], op, label, args, res)
        except Mismatch as m:
            return Difference(seed, label, line, m.expected, m.found)
        except (ValueError, KeyError, IndexError) as e:
            return Difference(seed, label, line, 'a complete line',
                              '%s: %s' % (type(e).__name__, e))
        except Exception as e:
            # go on with the other sequences, but say it
            return Difference(seed, label, line, 'no bug in the model',
                              ''.join(traceback.format_exception(e)[-2:]))
    return None


def tell(count, op, res):
    name = res.get('ret', '0').lstrip('-')
    count[op, name] += 1
    if op == 'call' and name == '0':
        count['call.recv', res.get('error', '?').lstrip('-')] += 1
    if op == 'recv' and name == '0':
        count['recv.type', res.get('type', '?')] += 1


def sequences(stream):
    """The lines of each sequence."""
    lines = []
    for line in stream:
        if line.startswith('# seed') and lines:
            if any(not x.startswith('#') for x in lines):
                yield lines
                lines = []
        lines.append(line)
    if lines:
        yield lines


def until(lines, last):
    """The sequence that led there."""
    print('  the sequence until then:')
    for line in lines:
        print('    ' + line.strip())
        if line.strip() == last:
            break


def main(names):
    count = collections.Counter()
    total = differences = 0
    for name in names or ['-']:
        stream = sys.stdin if name == '-' else open(name, encoding='ascii',
                                                    errors='replace')
        for lines in sequences(stream):
            total += 1
            found = check(lines, count=count)
            if found:
                differences += 1
                print('seed %s, label %s\n  %s\n  expected: %s\n  found:    %s'
                      % found, flush=True)
                if differences == 1:
                    until(lines, found.line)
    calls = sum(n for (op, _), n in count.items() if '.' not in op)
    print('%d sequences, %d calls, %d differences' %
          (total, calls, differences))
    for op in sorted({op for op, _ in count}):
        print('  %-10s %s' % (op, ' '.join(
            '%s:%d' % (name, n) for (o, name), n in sorted(count.items())
            if o == op)))
    return 1 if differences or not total else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
