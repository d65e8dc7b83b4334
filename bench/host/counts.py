# SPDX-License-Identifier: GPL-2.0
"""What the plugin (bench/plugin) counted in the windows that the benchmark marked."""

# In the order of the plugin's file, behind the number of the window and its rounds.
QUANTITIES = {
    'locked': 'locked instructions',
    'loads': 'loads',
    'stores': 'stores',
    'lines': 'lines touched',
    'dirty': 'lines dirtied',
    'misses': 'cache misses',
}

# A round of count_known() (bench/s_count.c): what anyone can count there by hand.
KNOWN = {'locked': 4, 'loads': 20, 'stores': 6, 'lines': 22, 'dirty': 6, 'misses': 13}


# What may differ from one kernel to the next without a reason in the code that is measured: a tick more or less,
# what the linker puts into one line, and which lines an allocator lets share a set of the cache.
SLACK = {'locked': 0.5, 'loads': 0.5, 'stores': 0.5, 'lines': 2, 'dirty': 2, 'misses': 8}


class Wrong(Exception):
    """The plugin did not count what it should have."""


def window(path, number, rounds):
    """The averages of one window, by quantity."""
    for line in path.read_text(encoding='ascii').splitlines():
        found, counted, *sums = map(int, line.split())
        if found != number:
            continue
        if counted != rounds:
            raise Wrong(f'window {number} has {counted} rounds in {path}, expected {rounds}')
        return {what: round(total / rounds, 2) for what, total in zip(QUANTITIES, sums, strict=True)}
    raise Wrong(f'no window {number} in {path}')


def check_known(found):
    """A plugin that is wrong about what is known makes no figures."""
    wrong = [f'{QUANTITIES[what]}: expected {KNOWN[what]}, found {found[what]:g}'
             for what in QUANTITIES if found[what] != KNOWN[what]]
    if wrong:
        raise Wrong('the plugin counts wrong in the round that is known: ' + '; '.join(wrong))


def place(figure, what):
    """Where the figure of one quantity stands."""
    machine, scenario, name, where = figure
    return machine, f'{scenario}.{what}', name, where
