# SPDX-License-Identifier: GPL-2.0
"""The goals, and whether the figures of a run meet them."""

import dataclasses
import typing

import table

CALL = 'bus1 call'
PLAIN = 'bus1 send + recv'
BUS1 = 'bus1'


@dataclasses.dataclass
class Goal:
    """`found` takes a function (scenario, name, where) -> value that raises LookupError for what is absent;
    `rivals` are the figures of the same run that have to be beaten in any case."""
    what: str
    bound: float
    found: typing.Callable
    rivals: list = dataclasses.field(default_factory=list)
    at_least: bool = False
    unit: str = ''

    def met(self, value):
        """Is the value on the right side of the goal?"""
        return value >= self.bound if self.at_least else value <= self.bound


def others(scenario, where, *names):
    """Figures of other mechanisms."""
    return [(scenario, name, where) for name in names]


def figure(scenario, name, where):
    """A figure as it is."""
    return lambda get: get(scenario, name, where)


def counted(scenario, name, where):
    """A figure of what is done to memory."""
    return lambda get: get(scenario, name, where, 'count')


def counts(scenario, where, *names):
    """Figures of other mechanisms, of what is done to memory."""
    return [(scenario, name, where, 'count') for name in names]


def percent(base, grown):
    """How much more, in percent."""
    return lambda get: (get(*grown) / get(*base) - 1) * 100


def ratio(base, other):
    """Times its own figure."""
    return lambda get: get(*other) / get(*base)


def worst(*parts):
    """The largest of several."""
    return lambda get: max(part(get) for part in parts)


CARRIERS = 'SysV msg', 'POSIX mqueue', 'SEQPACKET', 'binder'
ALONE = 'crowd.alone', CALL, 1

GOALS = [
    Goal('round trip 64 B, calls', 6070, figure('roundtrip', CALL, 64), others('roundtrip', 64, *CARRIERS)),
    Goal('round trip 64 KiB, calls', 142000, figure('roundtrip', CALL, 65536),
         others('roundtrip', 65536, *CARRIERS)),
    Goal('round trip 64 B, send + recv', 7500, figure('roundtrip', PLAIN, 64),
         others('roundtrip', 64, 'SEQPACKET')),
    Goal('same thread, 64 B', 1459, figure('local', PLAIN, 64), others('local', 64, 'SysV msg', 'SEQPACKET')),
    Goal('locked instructions of a round trip 64 B, calls', 27, counted('roundtrip.locked', CALL, 64),
         counts('roundtrip.locked', 64, *CARRIERS)),
    Goal('cache lines of a round trip 64 B, calls', 200, counted('roundtrip.lines', CALL, 64),
         counts('roundtrip.lines', 64, *CARRIERS)),
    Goal('dirty cache lines of a round trip 64 B, calls', 122, counted('roundtrip.dirty', CALL, 64),
         counts('roundtrip.dirty', 64, *CARRIERS)),
    Goal('locked instructions, same thread', 3, counted('local.locked', PLAIN, 64),
         counts('local.locked', 64, 'SysV msg', 'SEQPACKET')),
    Goal('multicast 64 B, N = 64: send', 800, figure('multicast.64.send', BUS1, 64),
         others('multicast.64.send', 64, 'SEQPACKET sendmsg')),
    Goal('multicast 64 B, N = 64: receive', 700, figure('multicast.64.recv', BUS1, 64),
         others('multicast.64.recv', 64, 'SEQPACKET sendmsg')),
    Goal('a new handle, more than plain', 1000, figure('handle.new', BUS1, 1)),
    Goal('a descriptor, more than plain', 1000, figure('descriptor', BUS1, 1),
         others('descriptor', 1, 'SEQPACKET sendmsg')),
    Goal('transfer of a known handle + release', 1000, figure('transfer.known', BUS1, 1)),
    Goal('open + close of a peer', 6500, figure('open_close', BUS1, 1)),
    Goal('memory of an idle peer, bytes', 1100, figure('idle.slab', BUS1, 1)),
    Goal('destroy a node, per holder of 256', 450, figure('node.destroy', BUS1, 256)),
    Goal('growth, 100,000 handles held', 5, percent(('growth.handles', BUS1, 1), ('growth.handles', BUS1, 100000)),
         unit=' %'),
    Goal('growth, 10,000 messages queued', 2,
         percent(('growth.messages', BUS1, 1), ('growth.messages', BUS1, 10000)), unit=' %'),
    Goal('round trip 64 B in a memory cgroup, times outside', 1.02,
         ratio(('roundtrip', CALL, 64), ('memcg', CALL, 64)), unit=' x'),
    Goal('a call beside 100 clients that never read', 10,
         worst(percent(ALONE, ('crowd.held', CALL, 100)), percent(ALONE, ('crowd.answered', CALL, 100))), unit=' %'),
    Goal('four clients, one server of four threads, times SEQPACKET', 1.3,
         lambda get: get('server.ratio', CALL, 4, 'wall'), at_least=True, unit=' x'),
]


def getter(results):
    """How goals read figures."""
    def get(scenario, name, where, machine='icount'):
        value = results.value(machine, scenario, name, where)
        if value is None:
            raise LookupError(scenario)
        return value
    return get


def row(goal, get):
    """What was asked, what was found, and what has to be beaten."""
    bound = ('≥ ' if goal.at_least else '≤ ') + table.number(goal.bound) + goal.unit
    try:
        value = goal.found(get)
    except LookupError:
        return [goal.what, bound, '–', 'not measured', '', '']
    verdict = 'met' if goal.met(value) else 'not met'
    found = table.number(value) + goal.unit
    try:
        name, best = min(((r[1], get(*r)) for r in goal.rivals), key=lambda pair: pair[1])
    except (ValueError, LookupError):
        return [goal.what, bound, found, verdict, '', '']
    return [goal.what, bound, found, verdict, f'{name} {table.number(best)}',
            'beaten' if value < best else 'not beaten']


def goals(results):
    """The table of the goals."""
    get = getter(results)
    rows = [['', 'goal', 'found', '', 'best other in this run', '']]
    rows += [row(goal, get) for goal in GOALS]
    return '\n'.join(table.lines(rows))
