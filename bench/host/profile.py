# SPDX-License-Identifier: GPL-2.0
"""Counts the instructions of one operation by function.

QEMU's debugger stub steps through the guest; the program in it, bench/profile/steps.c, marks the rounds with
getppid(). An instruction that repeats counts as often as it does, as it does for icount.
"""

import argparse
import bisect
import collections
import os
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.environ["TOP"]
OUT = os.environ["OUT"]
HEADERS = os.environ["HEADERS"]
KERNEL = os.path.join(OUT, os.environ["KIMAGE"])
MARK = "__x64_sys_getppid"
KERNEL_BASE = 0xFFFFFFFF80000000
QEMU = ("qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -smp 1 -seed 1 -rtc base=2025-01-01,clock=vm"
        " -cpu max -m 512 -nodefaults -display none -no-reboot -S")
CMDLINE = "panic=-1 pci=noacpi norandmaps nokaslr mitigations=off quiet"


class Symbols:
    """The functions of the kernel, by address."""

    def __init__(self):
        lines = subprocess.check_output(["nm", os.path.join(OUT, "vmlinux")], text=True).splitlines()
        found = sorted((int(a, 16), n) for a, t, n in (line.split(None, 2) for line in lines) if t in "tTwW")
        self.addresses = [a for a, _ in found]
        self.names = [n for _, n in found]

    def address(self, name):
        return self.addresses[self.names.index(name)]

    def name(self, address):
        if address < KERNEL_BASE:
            return "(user)"
        return self.names[bisect.bisect(self.addresses, address) - 1]


class Stub:
    """The few requests of GDB's remote protocol that stepping takes."""

    def __init__(self, path, process):
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("profile: QEMU did not start; see above")
                time.sleep(0.1)
        self.buffer = b""

    def request(self, text):
        data = text.encode()
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 255))
        while True:
            start = self.buffer.find(b"$")
            end = self.buffer.find(b"#", start)
            if start >= 0 and 0 <= end <= len(self.buffer) - 3:
                answer = self.buffer[start + 1:end]
                self.buffer = self.buffer[end + 3:]
                self.socket.sendall(b"+")
                return answer
            more = self.socket.recv(1 << 16)
            if not more:
                sys.exit("profile: the guest ended before the round that was to be counted")
            self.buffer += more

    def pc(self):
        registers = bytes.fromhex(self.request("g").decode().replace("x", "0"))
        return int.from_bytes(registers[16 * 8:17 * 8], "little")

    def run_to(self, address, times):
        for i in range(times):
            self.request(f"Z1,{address:x},1")
            self.request("c")
            self.request(f"z1,{address:x},1")
            if i < times - 1:
                self.request("s")


def make_guest(work, what, size):
    """A root file system with nothing but the program."""
    root = os.path.join(work, "root")
    os.makedirs(os.path.join(root, "dev"))
    subprocess.check_call(["gcc", "-O2", "-static", "-isystem", HEADERS, f'-DSTEPS_WHAT="{what}"',
                           f"-DSTEPS_SIZE={size}", "-o", os.path.join(root, "init"),
                           os.path.join(TOP, "bench/profile/steps.c")])
    image = os.path.join(work, "initramfs")
    with open(image, "wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b".\n./dev\n./init\n", cwd=root,
                       stdout=file, check=True)
    return image


def step_round(stub, symbols, skip, limit):
    """The function of every instruction of one round, in order."""
    mark = symbols.address(MARK)
    stub.run_to(mark, skip)
    trace = []
    while len(trace) < limit:
        stub.request("s")
        pc = stub.pc()
        if pc == mark and len(trace) > 10:
            return trace
        trace.append(symbols.name(pc))
        if len(trace) % 1000 == 0:
            print(f"\r{len(trace)} instructions", end="", file=sys.stderr, flush=True)
    sys.exit(f"profile: more than {limit} instructions in one round; see --limit")


def show(trace, order, top):
    print(f"{len(trace)} instructions in one round, the marks and the loop of the program included\n")
    for name, count in collections.Counter(trace).most_common(top):
        print(f"{count:7} {name}")
    if not order:
        return
    print("\nin order:")
    last, count = None, 0
    for name in trace + [None]:
        if name != last and last:
            print(f"{count:7} {last}")
            count = 0
        last, count = name, count + 1


def main():
    parser = argparse.ArgumentParser(prog="scripts/profile", description=__doc__)
    parser.add_argument("what", nargs="?", default="call",
                        choices=["local", "round", "call", "handle", "fd", "transfer", "multicast"])
    parser.add_argument("--size", type=int, default=64, help="bytes of payload (64)")
    parser.add_argument("--round", type=int, default=150, help="the round that is counted (150)")
    parser.add_argument("--top", type=int, default=60, help="how many functions to show (60)")
    parser.add_argument("--order", action="store_true", help="also show them in the order in which they ran")
    parser.add_argument("--limit", type=int, default=500000, help="stop after so many instructions (500,000)")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as work:
        image = make_guest(work, options.what, options.size)
        path = os.path.join(work, "gdb")
        command = QEMU.split() + ["-kernel", KERNEL, "-initrd", image, "-append", CMDLINE, "-chardev",
                                  f"socket,path={path},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as qemu:
            try:
                trace = step_round(Stub(path, qemu), Symbols(), options.round, options.limit)
            finally:
                qemu.kill()
    print("\r", end="", file=sys.stderr)
    show(trace, options.order, options.top)


if __name__ == "__main__":
    main()
