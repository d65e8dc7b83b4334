# SPDX-License-Identifier: GPL-2.0
"""Counts the instructions of one operation by function.

The plugin of QEMU that counts what is done to memory (bench/plugin) here lists the instructions between two marks
of the program in the guest, bench/profile/steps.c. One that repeats counts as often as it does, as for icount.
"""

import argparse
import bisect
import collections
import itertools
import os
import subprocess
import sys
import tempfile

TOP = os.environ["TOP"]
OUT = os.environ["OUT"]
HEADERS = os.environ["HEADERS"]
KERNEL = os.path.join(OUT, os.environ["KIMAGE"])
KERNEL_BASE = 0xFFFFFFFF80000000
QEMU = ("qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -smp 1 -seed 1 -rtc base=2025-01-01,clock=vm"
        " -cpu max -m 512 -nodefaults -display none -no-reboot")
CMDLINE = "panic=-1 pci=noacpi norandmaps nokaslr mitigations=off quiet"


class Symbols:
    """The functions of the kernel, by address."""

    def __init__(self):
        lines = subprocess.check_output(["nm", os.path.join(OUT, "vmlinux")], text=True).splitlines()
        found = sorted((int(a, 16), n) for a, t, n in (line.split(None, 2) for line in lines) if t in "tTwW")
        self.addresses = [a for a, _ in found]
        self.names = [n for _, n in found]

    def name(self, address):
        if address < KERNEL_BASE:
            return "(user)"
        return self.names[bisect.bisect(self.addresses, address) - 1]


def make_guest(work, what, size, rounds):
    """A root file system with nothing but the program."""
    root = os.path.join(work, "root")
    os.makedirs(os.path.join(root, "dev"))
    subprocess.check_call(["gcc", "-O2", "-static", "-isystem", HEADERS, f'-DSTEPS_WHAT="{what}"',
                           f"-DSTEPS_SIZE={size}", f"-DSTEPS_ROUNDS={rounds}", "-o", os.path.join(root, "init"),
                           os.path.join(TOP, "bench/profile/steps.c")])
    image = os.path.join(work, "initramfs")
    with open(image, "wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b".\n./dev\n./init\n", cwd=root,
                       stdout=file, check=True)
    return image


def make_plugin():
    """What tells the instructions, and which of them are locked ones."""
    made = os.path.join(OUT, "user/bench")
    subprocess.check_call(["make", "-s", "-C", os.path.join(TOP, "bench"), f"O={made}", "plugin"])
    return os.path.join(made, "count.so")


def run_guest(command, limit):
    """Boots, and waits until the program has done its rounds."""
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        sys.exit(f"profile: no end after {limit} s; see --limit")
    if ended.returncode:
        sys.exit(f"profile: QEMU ended with status {ended.returncode}")


def read_trace(path, symbols):
    """The function of every instruction of one round, in order, and whether it is a locked one."""
    with open(path, encoding="ascii") as file:
        trace = [(symbols.name(int(address, 16)), locked == "1") for address, locked in map(str.split, file)]
    if not trace:
        sys.exit("profile: the guest ended before the round that was to be counted")
    return trace


def show(trace, order, top):
    counted = collections.Counter(name for name, _ in trace)
    locked = collections.Counter(name for name, locks in trace if locks)
    print(f"{len(trace)} instructions in one round, {locked.total()} of them locked, the loop of the program included\n")
    print(" instr.  locked")
    for name, count in counted.most_common(top):
        print(f"{count:7} {locked[name] or '':7} {name}")
    if not order:
        return
    print("\nin order:")
    for name, group in itertools.groupby(trace, key=lambda step: step[0]):
        locks = [locks for _, locks in group]
        print(f"{len(locks):7} {sum(locks) or '':7} {name}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/profile", description=__doc__)
    parser.add_argument("what", nargs="?", default="call",
                        choices=["local", "round", "call", "handle", "fd", "transfer", "multicast"])
    parser.add_argument("--size", type=int, default=64, help="bytes of payload (64)")
    parser.add_argument("--round", type=int, default=1000, help="the round that is counted (1000)")
    parser.add_argument("--top", type=int, default=60, help="how many functions to show (60)")
    parser.add_argument("--order", action="store_true", help="also show them in the order in which they ran")
    parser.add_argument("--limit", type=int, default=120, help="stop after so many seconds (120)")
    options = parser.parse_args()

    plugin = make_plugin()
    with tempfile.TemporaryDirectory() as work:
        # The mark of the next round ends the one that is counted.
        image = make_guest(work, options.what, options.size, options.round + 1)
        out = os.path.join(work, "trace")
        run_guest(QEMU.split() + ["-kernel", KERNEL, "-initrd", image, "-append", CMDLINE, "-plugin",
                                  f"{plugin},out={out},trace={options.round}"], options.limit)
        trace = read_trace(out, Symbols())
    show(trace, options.order, options.top)


if __name__ == "__main__":
    main()
