# SPDX-License-Identifier: GPL-2.0
"""Results as tables of plain text."""

import counts

MACHINES = {
    'icount': 'instructions, one processor, -cpu max',
    'noerms': 'instructions, one processor, -cpu max,-erms: copies by the word',
    'memcg': 'instructions, one processor, everything in a memory cgroup',
    'count': 'what is done to memory, one processor, -cpu max',
    'wall': 'nanoseconds, two processors, median (99th percentile)',
}

# What the times of the clock are compared with.
BASE = 'SEQPACKET'

TITLES = {
    'roundtrip': 'Round trip between two processes',
    'local': 'Same thread, send + receive + release',
}

# One line each: the scenario, what it is, and what its count counts.
SINGLES = {
    'syscall': ('empty system call', ''),
    'multicast.64.send': ('multicast of 64 B, per destination: send', 'destinations'),
    'multicast.64.recv': ('multicast of 64 B, per destination: receive + release', 'destinations'),
    'multicast.4096.send': ('multicast of 4 KiB, per destination: send', 'destinations'),
    'multicast.4096.recv': ('multicast of 4 KiB, per destination: receive + release', 'destinations'),
    'handle.known': ('a handle in a message, known, released: more than plain', ''),
    'handle.new': ('a handle in a message, new each time, released: more than plain', ''),
    'descriptor': ('a descriptor in a message, received and closed: more than plain', ''),
    'transfer.known': ('transfer of a known handle + release', ''),
    'transfer.new': ('transfer of a new handle + release', ''),
    'node.create_destroy': ('create + release + destroy a node', ''),
    'node.destroy': ('destroy a node, per holder', 'holders'),
    'node.notice': ('receive the notice of it', 'holders'),
    'open_close': ('open + close', ''),
    'idle.slab': ('memory of an idle one, bytes of slab', ''),
    'growth.handles': ('send + receive, with handles held', 'handles'),
    'growth.messages': ('send + receive, with messages queued', 'messages'),
    'memcg': ('round trip in a memory cgroup', 'bytes'),
    'crowd.alone': ('a call, alone', ''),
    'crowd.held': ('a call, while the server holds 1,000 requests of each of 100 clients', 'clients'),
    'crowd.answered': ('a call, while 1,000 replies wait at each of 100 clients', 'clients'),
    'server.calls': ('four clients on one server of four threads: calls per second', 'clients'),
    'server.ratio': ('four clients on one server of four threads: times SEQPACKET', 'clients'),
}


def size_name(size):
    """As the tables write sizes."""
    if size >= 1 << 20:
        return f'{size >> 20} MiB'
    return f'{size >> 10} KiB' if size >= 1024 else f'{size} B'


def number(value):
    """Instructions and bytes are whole to the reader; ratios are not."""
    return f'{value:,.0f}' if abs(value) >= 10 else f'{value:.2f}'


def cell(figure, reasons):
    """A value, or a dash with the number of its reason."""
    if figure is None:
        return ''
    if figure.value is None:
        if figure.why not in reasons:
            reasons.append(figure.why)
        return f'– [{reasons.index(figure.why) + 1}]'
    if figure.p99 is not None:
        return f'{number(figure.value)} ({number(figure.p99)})'
    return number(figure.value)


def lines(rows):
    """Rows of text in columns, the first to the left and all others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield '  '.join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]).rstrip()


def unique(values):
    """The values once each, in their order."""
    return list(dict.fromkeys(values))


def by_size(results, machine, scenario, reasons):
    """The table of one scenario: mechanisms down, sizes across."""
    figures = [f for f in results.figures if (f.machine, f.scenario) == (machine, scenario)]
    if not figures:
        return []
    sizes = sorted(unique(f.where for f in figures))
    rows = [[''] + [size_name(s) for s in sizes]]
    for name in unique(f.name for f in figures):
        rows.append([name] + [cell(results.find(machine, scenario, name, s), reasons) for s in sizes])
    return [f'{TITLES[scenario]} ({MACHINES[machine]})', '', *lines(rows), '']


def by_ratio(results, machine, scenario):
    """The same table as ratios: what the host does to all of them cancels out."""
    figures = [f for f in results.figures if (f.machine, f.scenario) == (machine, scenario)]
    sizes = sorted(unique(f.where for f in figures))
    base = {s: results.value(machine, scenario, BASE, s) for s in sizes}
    if not any(base.values()):
        return []
    rows = [[''] + [size_name(s) for s in sizes]]
    for name in unique(f.name for f in figures if f.value is not None):
        values = [results.value(machine, scenario, name, s) for s in sizes]
        rows.append([name] + [number(v / base[s]) if v and base[s] else '' for v, s in zip(values, sizes)])
    return [f'{TITLES[scenario]} (times {BASE}, medians)', '', *lines(rows), '']


def by_quantity(results, scenario, reasons):
    """What the plugin counted: mechanisms down, quantities across. Who carries nothing stands there with 0 B."""
    wanted = [f'{scenario}.{what}' for what in counts.QUANTITIES]
    places = unique((f.name, f.where) for f in results.figures if f.machine == 'count' and f.scenario in wanted)
    if not places:
        return []
    rows = [['', '', *counts.QUANTITIES.values()]]
    for name, where in places:
        rows.append([name, size_name(where)] +
                    [cell(results.find('count', s, name, where), reasons) for s in wanted])
    return [f'{TITLES[scenario]} ({MACHINES["count"]})', '', *lines(rows), '']


def singles(results, machine, reasons):
    """What has no sizes: one line for each figure."""
    rows = [['', '', '', '']]
    for scenario, (title, counts) in SINGLES.items():
        for f in results.figures:
            if (f.machine, f.scenario) == (machine, scenario):
                rows.append([title, f.name, f'{f.where:,} {counts}' if counts else '', cell(f, reasons)])
    if len(rows) == 1:
        return []
    return [f'The rest ({MACHINES[machine]})', *lines(rows), '']


def tables(results):
    """Everything, with the reasons and the raised limits below."""
    reasons = []
    out = []
    for machine in MACHINES:
        for scenario in TITLES:
            out += by_size(results, machine, scenario, reasons)
            if machine == 'count':
                out += by_quantity(results, scenario, reasons)
        if machine == 'wall':
            out += by_ratio(results, machine, 'roundtrip')
        out += singles(results, machine, reasons)
    out += [f'[{i}] {why}' for i, why in enumerate(reasons, 1)]
    if results.notes:
        out += ['', 'Notes, and what was raised: ' + '; '.join(results.notes) + '.']
    out += ['', ', '.join(f'{k} {v}' for k, v in results.versions.items())]
    return '\n'.join(out)
