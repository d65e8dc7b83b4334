# SPDX-License-Identifier: GPL-2.0
"""Builds what is measured, runs it in the guest, and reads the figures."""

import csv
import dataclasses
import hashlib
import os
import pathlib
import subprocess
import sys

import counts

TOP = pathlib.Path(os.environ['TOP'])
OUT = pathlib.Path(os.environ['OUT'])
LOG = pathlib.Path(os.environ['LOG'])
SCRIPTS = pathlib.Path(os.environ['SCRIPTS'])
RESULTS = pathlib.Path(os.environ['BUILD']) / 'bench-results'
COUNTS = LOG / 'bench-counts'


class Failed(Exception):
    """Something that was run did not end well."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure: what was measured, of whom, with which size or count.

    `machine` is the run it comes from: icount, noerms, memcg, count or wall. A figure that is absent has no
    value and says why.
    """
    machine: str
    scenario: str
    name: str
    where: int
    value: float | None = None
    p99: float | None = None
    why: str = ''

    def key(self):
        """What makes two figures of two runs the same figure."""
        return self.machine, self.scenario, self.name, self.where


@dataclasses.dataclass
class Results:
    """All figures of one command, and what they were measured with."""
    versions: dict
    figures: list
    notes: list

    def find(self, machine, scenario, name, where):
        """The figure, or None."""
        wanted = machine, scenario, name, where
        return next((f for f in self.figures if f.key() == wanted), None)

    def value(self, machine, scenario, name, where):
        """The figure's value, or None."""
        figure = self.find(machine, scenario, name, where)
        return figure.value if figure else None


def say(text):
    """Progress goes where it does not mix with tables."""
    print(f'== {text}', file=sys.stderr, flush=True)


def run(*command, **env):
    """Runs a command with its output on stderr."""
    if subprocess.run(command, env=os.environ | env, stdout=sys.stderr, check=False).returncode:
        raise Failed(f'failed: {" ".join(map(str, command))}')


def build(mode):
    """The kernel, and the benchmark in the directory that becomes the guest's root."""
    run(SCRIPTS / 'build', mode, 'kernel')
    LOG.mkdir(parents=True, exist_ok=True)
    with open(LOG / 'bench-program.log', 'w', encoding='utf-8') as log:
        made = subprocess.run(['make', '-C', TOP / 'bench', f'O={OUT}/user/bench'], stdout=log,
                              stderr=subprocess.STDOUT, check=False)
    if made.returncode:
        raise Failed(f'building the benchmark failed; see {log.name}')
    root = OUT / 'user/guest'
    (root / 'usr/bin').mkdir(parents=True, exist_ok=True)
    run('cp', OUT / 'user/bench/bench', root / 'usr/bin/bench')
    run('cp', TOP / 'bench/init', root / 'init')


def config_value(name):
    """A line of the kernel's configuration."""
    for line in (OUT / '.config').read_text(encoding='utf-8').splitlines():
        if line.startswith(f'CONFIG_{name}='):
            return line.split('=', 1)[1].strip('"')
    return ''


def versions():
    """What has to be the same for figures to be the same."""
    qemu = subprocess.run(['qemu-system-x86_64', '--version'], capture_output=True, text=True, check=True)
    fragments = (OUT / 'fragments.config').read_bytes()
    return {
        'kernel': (OUT / 'include/config/kernel.release').read_text(encoding='utf-8').strip(),
        'compiler': config_value('CC_VERSION_TEXT'),
        'qemu': qemu.stdout.splitlines()[0],
        'config': hashlib.sha256(fragments).hexdigest()[:16],
    }


def read_line(machine, fields, results):
    """One line of the benchmark: kind, scenario, name, where, values."""
    kind, scenario, name, where, *values = fields
    place = machine, scenario, name, int(where)
    if kind == 'value':
        results.figures.append(Figure(*place, value=float(values[0])))
    elif kind == 'wall':
        results.figures.append(Figure(*place, value=float(values[0]), p99=float(values[1])))
    elif kind == 'count':
        found = counts.window(COUNTS, int(values[0]), int(values[1]))
        if scenario == 'known':
            counts.check_known(found)
            return
        results.figures += [Figure(*counts.place(place, what), value=value) for what, value in found.items()]
    elif kind == 'absent' and machine == 'count':
        results.figures += [Figure(*counts.place(place, what), why=values[0]) for what in counts.QUANTITIES]
    elif kind == 'absent':
        results.figures.append(Figure(*place, why=values[0]))
    elif kind == 'note' and values[0] not in results.notes:
        results.notes.append(values[0])


def boot(machine, arguments, scenarios, results, limit):
    """One boot of one machine. Every line is shown as progress; the last has to say `end`."""
    env = {'MODE': 'wall' if machine == 'wall' else 'icount', 'NOERMS': '1' if machine == 'noerms' else '',
           'COUNTS': str(COUNTS) if machine == 'count' else ''}
    command = [SCRIPTS / 'boot', '--time', str(limit), '--mem', '2048', '--cpus', '2' if machine == 'wall' else '1',
               '--log', LOG / f'bench-{machine}.log', '--', 'bench', *arguments, *scenarios]
    say(f'{machine}: {" ".join(scenarios) or "everything"}')
    if machine == 'wall':
        # A guest's processor that waits for the host's makes a wake-up take milliseconds.
        load = os.getloadavg()[0]
        results.notes.append(f'the clock: {os.cpu_count()} processors of the host, load {load:.1f} before')
    complete = False
    with subprocess.Popen(command, env=os.environ | env, stdout=subprocess.PIPE, text=True) as guest:
        for fields in csv.reader(guest.stdout, dialect='excel-tab', quoting=csv.QUOTE_NONE):
            print('  ', *fields, file=sys.stderr, flush=True)
            if len(fields) >= 5:
                read_line(machine, fields, results)
                complete = complete or fields[0] == 'end'
    if guest.returncode or not complete:
        raise Failed(f'the benchmark did not end well (status {guest.returncode}); see {command[8]}')
