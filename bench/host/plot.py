# SPDX-License-Identifier: GPL-2.0
"""Pictures of the round trips, by gnuplot."""

import csv
import subprocess

import table

SCRIPT = '''# SPDX-License-Identifier: GPL-2.0
set datafile separator ','
set datafile missing ''
set terminal {terminal}
set output '{output}'
set title '{title}'
set key outside right top
set logscale y 10
set format y '10^%T'
set grid ytics
set xtics ({xtics})
set xrange [-0.3:{last}.3]
set ylabel '{unit}'
set xlabel 'size of the message'
plot for [i=2:{columns}] '{data}' using 0:i with linespoints linewidth 2 title columnheader(i) noenhanced
'''

TERMINALS = {
    'svg': "svg size 960,540 font 'sans,12'",
    'png': "pngcairo size 960,540 font 'sans,12'",
}


def write_data(results, machine, path):
    """Sizes down, mechanisms across; what is absent stays empty."""
    figures = [f for f in results.figures if (f.machine, f.scenario) == (machine, 'roundtrip')]
    names = table.unique(f.name for f in figures if f.value is not None)
    sizes = sorted(table.unique(f.where for f in figures))
    with open(path, 'w', encoding='utf-8', newline='') as f:
        writer = csv.writer(f)
        writer.writerow(['size', *names])
        for size in sizes:
            values = (results.value(machine, 'roundtrip', name, size) for name in names)
            writer.writerow([size] + ['' if v is None else v for v in values])
    return sizes, names


def plot(results, machine, directory):
    """Draws one machine's round trips; returns the files."""
    data = directory / f'roundtrip-{machine}.csv'
    sizes, names = write_data(results, machine, data)
    if not names:
        return []
    made = []
    for kind, terminal in TERMINALS.items():
        output = directory / f'roundtrip-{machine}.{kind}'
        script = SCRIPT.format(terminal=terminal, output=output, data=data, columns=len(names) + 1,
                               title='Round trip between two processes', last=len(sizes) - 1,
                               unit=table.MACHINES[machine].split(',')[0],
                               xtics=', '.join(f"'{table.size_name(s)}' {i}" for i, s in enumerate(sizes)))
        subprocess.run(['gnuplot', '-'], input=script, text=True, check=True)
        made.append(output)
    return made
