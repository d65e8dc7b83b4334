# SPDX-License-Identifier: GPL-2.0
"""Counts again and compares with the figures in bench/record.json.

With the same kernel, compiler, emulator and configuration, every figure has
to be within 2 %, or, of what is done to memory, within half an access, two
cache lines or eight misses of a round. Otherwise what can be compared is bus1
with SEQPACKET of the same boot: the ratio has to be within 5 %, and a new
record is asked for. Only bus1 that got worse fails, or another mechanism that
is not what it was.
"""

import argparse
import sys

import bench
import counts
import guest
import store
import table

SAME = 0.02
OTHER = 0.05
LIMIT = 900
RENEW = 'make a new record with scripts/bench --record, and commit it'

# What a figure of bus1 is compared with when versions differ: the neighbour in the same scenario, or what a
# message takes.
NEIGHBOURS = {
    'roundtrip': 'SEQPACKET',
    'local': 'SEQPACKET',
    'memcg': 'SEQPACKET',
    'descriptor': 'SEQPACKET sendmsg',
    'multicast.64.send': 'SEQPACKET sendmsg',
    'multicast.64.recv': 'SEQPACKET sendmsg',
    'multicast.4096.send': 'SEQPACKET sendmsg',
    'multicast.4096.recv': 'SEQPACKET sendmsg',
}


def is_ours(figure):
    """Is it a figure of bus1?"""
    return figure.name.startswith('bus1')


def label(figure):
    """As messages name a figure."""
    scenario, _, what = figure.scenario.partition('.')
    if figure.machine == 'count':
        title = f'{table.TITLES[scenario]}, {counts.QUANTITIES[what]}'
    else:
        title = table.SINGLES.get(figure.scenario, (table.TITLES.get(figure.scenario), ''))[0]
    return f'{title}, {figure.name}, {figure.where}'


def reference(results, figure):
    """SEQPACKET's figure to stand next to it. Bytes are compared with bytes."""
    if figure.machine == 'count':
        return results.value('count', figure.scenario, 'SEQPACKET', figure.where)
    if figure.scenario == 'idle.slab':
        return results.value(figure.machine, 'idle.slab', 'eventfd', 1)
    if figure.scenario in NEIGHBOURS:
        return results.value(figure.machine, figure.scenario, NEIGHBOURS[figure.scenario], figure.where)
    return results.value(figure.machine, 'local', 'SEQPACKET', 64)


def slack(figure):
    """By how much a figure may differ in any case."""
    return counts.SLACK[figure.scenario.partition('.')[2]] if figure.machine == 'count' else 0


class Check:
    """What was compared so far."""

    def __init__(self):
        self.passed = self.failed = self.skipped = self.better = 0

    def fail(self, figure, expected, found, advice):
        """A figure that is not as it should be."""
        self.failed += 1
        print(f'not ok - {label(figure)}: expected {expected}, found {found}; {advice}')

    def compare(self, figure, expected, found, tolerance, unit=''):
        """Two numbers that may differ by `tolerance`."""
        change = found - expected
        percent = f' ({change / expected:+.1%})' if expected else ''
        texts = (f'{expected:,.2f}{unit} ± {tolerance:,.2f}', f'{found:,.2f}{percent}')
        if abs(change) <= tolerance:
            self.passed += 1
        elif not is_ours(figure):
            self.fail(figure, *texts, 'nothing of bus1: if the kernel or the benchmark changed on purpose, ' + RENEW)
        elif change < 0:
            self.passed += 1
            self.better += 1
            print(f'# better - {label(figure)}: expected {texts[0]}, found {texts[1]}')
        else:
            self.fail(figure, *texts, 'find what costs more (git log since the record), or, if it is worth it, ' +
                      RENEW)

    def same(self, old, new):
        """One figure, measured with the same versions."""
        if old.value is None:
            self.passed += 1
            self.better += new.value is not None
        elif new.value is None:
            self.fail(old, f'{old.value:,.2f}', f'none: {new.why}', 'the benchmark cannot measure it any more')
        else:
            self.compare(old, old.value, new.value, max(SAME * old.value, slack(old)))

    def relative(self, old, new, record, results):
        """One figure, measured with other versions."""
        bases = reference(record, old), reference(results, new)
        if not is_ours(old) or old.value is None:
            return
        if not all(bases):
            self.skipped += 1
        elif new.value is None:
            self.fail(old, f'{old.value:,.2f}', f'none: {new.why}', 'the benchmark cannot measure it any more')
        else:
            expected = old.value / bases[0]
            self.compare(old, expected, new.value / bases[1], max(OTHER * expected, slack(old) / bases[1]),
                         ' times SEQPACKET')


def compare(record, results):
    """Every recorded figure that was measured again."""
    check = Check()
    same = record.versions == results.versions
    for old in record.figures:
        new = results.find(*old.key())
        if not new:
            check.fail(old, 'a figure', 'none', 'the benchmark has lost it; ' + RENEW)
        elif same:
            check.same(old, new)
        else:
            check.relative(old, new, record, results)
    if not same:
        for what, old in record.versions.items():
            if results.versions.get(what) != old:
                print(f'# {what}: recorded {old}, here {results.versions.get(what)}')
        print(f'# other versions than the record\'s: compared by the ratio to SEQPACKET; {RENEW}')
    elif check.better:
        print(f'# {check.better} figures are better than recorded, or new; {RENEW}')
    return check


def main():
    """Measures what the record has, and compares."""
    parser = argparse.ArgumentParser(prog='scripts/bench-check', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--files', action='store_true', help='build what the files say, not what patches/ say')
    parser.add_argument('--last', action='store_true', help='compare the last results of scripts/bench, run nothing')
    args = parser.parse_args()
    record = store.from_json(bench.RECORD)
    if args.last:
        results = store.from_json(guest.RESULTS / 'bench.json')
    else:
        guest.build('--files' if args.files else '--patches')
        results = guest.Results(guest.versions(), [], [])
        guest.boot('icount', [], [], results, LIMIT)
        guest.boot('count', ['--count'], [], results, LIMIT)
    check = compare(record, results)
    print(f'{check.passed} passed, {check.failed} failed, {check.skipped} skipped')
    return check.failed > 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (guest.Failed, counts.Wrong, FileNotFoundError) as error:
        sys.exit(f'bench-check: {error}')
