# SPDX-License-Identifier: GPL-2.0
"""Counts what bus1 and its neighbours cost, in a guest with a kernel made for it.

The default is everything: instructions (icount), the same without fast copies
(noerms), locked instructions, loads, stores and cache lines by a plugin of
QEMU (count), and the clock with two processors (wall). Tables go to stdout; CSV,
JSON, SVG and PNG files to build/bench-results/.
"""

import argparse
import sys

import counts
import goals
import guest
import plot
import store
import table

RECORD = guest.TOP / 'bench/record.json'
LIMIT = 1800
# What does not depend on the host.
RECORDED = {'icount', 'count'}
COMMENT = 'SPDX-License-Identifier: GPL-2.0 (made by scripts/bench --record)'


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog='scripts/bench', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mode', choices=['icount', 'count', 'wall'],
                        help='only instructions, only what is done to memory, or only the clock')
    parser.add_argument('--no-erms', action='store_true', help='only instructions, on -cpu max,-erms')
    parser.add_argument('--memcg', action='store_true', help='only instructions, everything in a memory cgroup')
    parser.add_argument('--quick', action='store_true', help='half the rounds, and no second machine')
    parser.add_argument('--json', action='store_true', help='JSON on stdout in place of tables')
    parser.add_argument('--goals', action='store_true', help='the table of the goals, too')
    parser.add_argument('--last', action='store_true', help='show the last results, run nothing')
    parser.add_argument('--record', action='store_true',
                        help='only what bench-check compares with, and keep it in bench/record.json')
    parser.add_argument('--files', action='store_true', help='build what the files say, not what patches/ say')
    parser.add_argument('--repeat', type=int, default=1, metavar='N',
                        help='boot N times; the figures of all boots have to agree to the instruction')
    parser.add_argument('scenario', nargs='*', help='only these: roundtrip, local, multicast, ... (bench/main.c)')
    args = parser.parse_args()
    if args.record and (args.scenario or args.quick or args.last or set(machines(args)) != RECORDED):
        parser.error('--record takes a complete run of what it records: no scenario, and no other machine')
    if args.repeat > 1 and args.mode not in RECORDED:
        parser.error('--repeat needs --mode icount or count')
    return args


def machines(args):
    """Which machines are booted, with what the benchmark is told."""
    quick = ['--quick'] if args.quick else []
    if args.mode == 'count':
        return {'count': ['--count', *quick]}
    if args.mode == 'wall':
        return {'wall': ['--wall', *quick]}
    if args.memcg:
        return {'memcg': ['--memcg', *quick]}
    if args.no_erms:
        return {'noerms': quick}
    if args.mode == 'icount' or args.quick:
        return {'icount': quick}
    if args.record:
        return {'icount': quick, 'count': ['--count']}
    return {'icount': quick, 'noerms': quick, 'count': ['--count', *quick], 'wall': ['--wall', *quick]}


def measure(args):
    """Builds and boots."""
    guest.build('--files' if args.files else '--patches')
    results = guest.Results(guest.versions(), [], [])
    for machine, words in machines(args).items():
        scenarios = args.scenario
        if machine == 'noerms' and not args.no_erms and not scenarios:
            # All else differs by too little to be worth the time.
            scenarios = ['roundtrip', 'local']
        guest.boot(machine, words, scenarios, results, LIMIT)
    return results


def differing(first, second):
    """Figures that two runs do not agree on."""
    other = {f.key(): f for f in second.figures}
    return [(f, other.get(f.key())) for f in first.figures if other.get(f.key()) != f]


def repeat(args, results):
    """Boots again and again; anything that differs is told, and makes the run fail."""
    failed = False
    for _ in range(args.repeat - 1):
        for a, b in differing(results, measure(args)):
            print(f'not the same in two runs: {a.scenario}, {a.name}, {a.where}: {a.value} and '
                  f'{b.value if b else "nothing"}', file=sys.stderr)
            failed = True
    return failed


def keep(results):
    """All the files. A partial run takes the place of the last one."""
    guest.RESULTS.mkdir(parents=True, exist_ok=True)
    store.write_csv(results, guest.RESULTS / 'bench.csv')
    (guest.RESULTS / 'bench.json').write_text(store.as_json(results), encoding='utf-8')
    made = [guest.RESULTS / 'bench.csv', guest.RESULTS / 'bench.json']
    for machine in table.MACHINES:
        made += plot.plot(results, machine, guest.RESULTS)
    guest.say('written: ' + ' '.join(map(str, made)))


def record(results):
    """What does not depend on the host, in the repository."""
    kept = guest.Results(results.versions, [f for f in results.figures if f.machine in RECORDED], results.notes)
    RECORD.write_text(store.as_json(kept, COMMENT), encoding='utf-8')
    guest.say(f'recorded: {RECORD.relative_to(guest.TOP)}; commit it with the change that explains it')


def main():
    """Measures, writes, shows."""
    args = arguments()
    failed = False
    if args.last:
        results = store.from_json(guest.RESULTS / 'bench.json')
    else:
        results = measure(args)
        failed = repeat(args, results)
        keep(results)
    if args.record:
        record(results)
    print(store.as_json(results) if args.json else table.tables(results))
    if args.goals:
        print('\n' + goals.goals(results))
    return failed


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (guest.Failed, counts.Wrong, FileNotFoundError) as error:
        sys.exit(f'bench: {error}')
