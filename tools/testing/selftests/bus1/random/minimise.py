#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a sequence that fails shorter.

	minimise.py SEQUENCE [--trace TRACE] --run 'COMMAND {}' [--progress FILE]

COMMAND plays the file that stands for {}: many candidates, each starting with
"# seed N", N from 1. It prints one line "fails N" for each candidate that still
fails, and may end early, by a panic of the guest say: with --progress, FILE
then holds the lines "seed N" that the player wrote, the last candidate there
counts as failing, and those behind it are played again. COMMAND has to end with
status 0 when it got through; anything else is taken for an early end.

Booting a guest costs seconds, and playing a sequence next to nothing. So all
candidates of a round are played at once, and the best that fails is kept.
"""
import argparse
import os
import re
import shlex
import signal
import subprocess
import sys

# Arguments that may go altogether.
OPTIONAL = ("size", "tail", "ptr", "sptr", "dptr", "vptr", "hptr", "fptr",
            "vbase", "rsize", "rtail", "rptr", "more", "errors", "deadline",
            "max_offset", "release", "req", "buf", "bptr")
COUNTS = {"ids": "n", "dests": "nd", "handles": "nh", "fds": "nf", "vecs": "nv"}
PLAIN = {"limits": "none", "vecs": "-", "errors": "0", "reply_bytes": "0",
         "reply_handles": "0", "reply_fds": "0", "uid": "0"}
BATCH = 400


class Line:
    """One call: label, operation, arguments in their order."""

    def __init__(self, text):
        words = text.split()
        self.label, self.op = int(words[0]), words[1]
        self.args = dict(w.partition("=")[::2] for w in words[2:])

    def __str__(self):
        return " ".join([str(self.label), self.op] + [
            "%s=%s" % kv for kv in self.args.items()])

    def changed(self, **args):
        """A copy; None removes an argument."""
        line = Line(str(self))
        for key, value in args.items():
            if value is None:
                line.args.pop(key, None)
            else:
                line.args[key] = value
        return line


def parse(text):
    """The calls of one sequence; comments are dropped."""
    return [Line(t) for t in text.splitlines()
            if t.strip() and not t.lstrip().startswith("#")]


def show(lines, seed):
    return "# seed %d\n%s\n" % (seed, "\n".join(str(line) for line in lines))


# References

def parse_trace(text):
    """{label: (arguments, results)} of the first sequence of a trace."""
    calls = {}
    for t in text.splitlines():
        if t.startswith("# seed ") and calls:
            break
        left, _, right = t.partition(" -> ")
        words = left.split()
        if not words or not words[0].isdigit():
            continue
        calls[int(words[0])] = tuple(
            dict(w.partition("=")[::2] for w in side if "=" in w)
            for side in (words[2:], right.split()))
    return calls


def sources(line, results):
    """[(peer, value, reference)] of what a call has shown."""
    found = []
    if results.get("ret") != "0" or results.get("error", "0") not in (
            "0", "0x0"):
        return found
    fd = line.args.get("fd")
    if line.op == "transfer":
        dst = line.args.get("dst")
        for i, value in enumerate(results.get("out", "-").split(",")):
            found.append((dst, value, "@%d.t%d" % (line.label, i)))
    elif line.op in ("recv", "call"):
        found.append((fd, results.get("off"), "@%d.o" % line.label))
        found.append((fd, results.get("reply"), "@%d.r" % line.label))
        for i, value in enumerate(results.get("handles", "-").split(",")):
            found.append((fd, value, "@%d.h%d" % (line.label, i)))
    return found


def explicit(lines, trace):
    """The sequence with @L references, or literals, in place of symbols."""
    known, after = {}, []
    for line in lines:
        played = trace.get(line.label)
        if not played:
            # The player has skipped it.
            continue
        used, results = played
        new = Line(str(line))
        peer = line.args.get("fd", line.args.get("src"))
        for key in ("ids", "dests", "handles", "dest", "release", "off",
                    "reply_id"):
            old = line.args.get(key, "-").split(",")
            values = used.get(key, "-").split(",")
            if old == ["-"] or len(old) != len(values):
                continue
            new.args[key] = ",".join(
                o if o[0] == "@" else
                known.get((peer, v), v) if not o[0].isdigit() else v
                for o, v in zip(old, values))
        after.append(new)
        for where, value, reference in sources(line, results):
            if value not in (None, "-", "0xffffffffffffffff"):
                known[where, value] = reference
    return after


# Rounds: each makes candidates, shortest first

def chunks(lines):
    """Without a half, a quarter, ... of the calls."""
    size = (len(lines) + 1) // 2
    while size:
        for at in range(0, len(lines), size):
            yield lines[:at] + lines[at + size:]
        size //= 2


def pairs(lines):
    """Without two calls that need each other, not too far apart."""
    for i in range(len(lines)):
        for j in range(i + 1, min(len(lines), i + 40)):
            yield lines[:i] + lines[i + 1:j] + lines[j + 1:]


def without_entry(line, key):
    """Lists that are shorter by one."""
    separator = "+" if key == "vecs" else ","
    entries = line.args[key].split(separator)
    for i in range(len(entries)):
        rest = entries[:i] + entries[i + 1:]
        args = {key: separator.join(rest) or "-"}
        if line.args.get(COUNTS[key]) == str(len(entries)):
            args[COUNTS[key]] = str(len(rest))
        bit = {"handles": 8, "fds": 16}.get(key)
        if bit and not rest and "flags" in line.args:
            args["flags"] = "0x%x" % (int(line.args["flags"], 16) & ~bit)
        yield line.changed(**args)


def smaller(line):
    """Simpler forms of one call."""
    for key in OPTIONAL:
        if key in line.args:
            yield line.changed(**{key: None})
    for key in COUNTS:
        if line.args.get(key, "-") != "-":
            yield from without_entry(line, key)
    for key, value in PLAIN.items():
        if line.args.get(key, value) != value:
            args = {key: value}
            if key == "vecs":
                args["nv"] = "0"
            yield line.changed(**args)
    flags = int(line.args.get("flags", "0"), 16)
    for bit in range(32):
        if flags & 1 << bit:
            yield line.changed(flags="0x%x" % (flags & ~(1 << bit)))
    if flags & 4 and line.op in ("send", "call"):
        yield line.changed(flags="0x%x" % (flags & ~4), reply_id="0x0",
                           reply_bytes="0", reply_handles="0", reply_fds="0")
    yield from shorter_vecs(line)
    yield from fewer_limits(line)


def shorter_vecs(line):
    if line.args.get("vecs", "-") == "-":
        return
    lengths = [int(v) for v in line.args["vecs"].split("+")]
    for i, n in enumerate(lengths):
        for value in sorted({0, 1, 8, n // 2}):
            if value < n:
                yield line.changed(vecs="+".join(
                    str(v) for v in lengths[:i] + [value] + lengths[i + 1:]))


def fewer_limits(line):
    limits = line.args.get("limits", "none").split(",")
    for i, value in enumerate(limits):
        if len(limits) == 4 and value != "keep":
            yield line.changed(limits=",".join(
                limits[:i] + ["keep"] + limits[i + 1:]))


def simpler(lines):
    """One call in a simpler form."""
    for i, line in enumerate(lines):
        for new in smaller(line):
            if str(new) != str(line):
                yield lines[:i] + [new] + lines[i + 1:]


# The search

class Minimiser:
    """@fails: takes a list of candidates, returns the set of those (by index)
    that fail."""

    def __init__(self, fails, log=lambda text: None):
        self.fails = fails
        self.log = log
        self.tried = set()
        self.shortest = None    # so far, for whoever does not wait for the end

    def candidates(self, make, lines):
        for candidate in make(lines):
            text = show(candidate, 0)
            if candidate and text not in self.tried:
                self.tried.add(text)
                yield candidate

    def round(self, make, lines, greedy):
        """A candidate that fails, or None. Those that change different calls
        are tried together, too: many simplifications do not touch each other.
        """
        batch = []
        for candidate in self.candidates(make, lines):
            batch.append(candidate)
            if len(batch) == BATCH:
                best = self.best(batch, lines, greedy)
                if best:
                    return best
                batch = []
        return self.best(batch, lines, greedy) if batch else None

    def best(self, batch, lines, greedy):
        failing = [batch[i] for i in sorted(self.fails(batch))]
        self.log("%d of %d candidates fail" % (len(failing), len(batch)))
        if not failing:
            return None
        best = min(failing, key=lambda c: (len(c), len(show(c, 0))))
        if not greedy or len(failing) == 1:
            return best
        merged = [m for m in self.merge(lines, failing)
                  if show(m, 0) not in self.tried]
        if not merged:
            return best
        self.tried.update(show(m, 0) for m in merged)
        again = self.fails(merged)
        return merged[min(again)] if again else best

    @staticmethod
    def merge(lines, failing):
        """All changes at once, then half of them, a quarter, ..."""
        part = failing
        while len(part) > 1:
            gone, new = set(), {}
            for candidate in part:
                by_label = {line.label: line for line in candidate}
                for line in lines:
                    if line.label not in by_label:
                        gone.add(line.label)
                    elif str(by_label[line.label]) != str(line):
                        new[line.label] = by_label[line.label]
            merged = [new.get(line.label, line) for line in lines
                      if line.label not in gone]
            if merged:
                yield merged
            part = part[:len(part) // 2]

    def run(self, lines, trace=None):
        """The shortest sequence that was found, or None: it never failed."""
        if not self.fails([lines]):
            return None
        self.shortest = lines
        if trace:
            names = explicit(lines, trace)
            if names and self.fails([names]):
                lines = names
            else:
                self.log("with explicit references it does not fail")
        makers, done = (chunks, simpler, pairs), 0
        while done < len(makers):
            for make in makers:
                new = self.round(make, lines, make is not pairs)
                done = 0 if new else done + 1
                while new:
                    lines = self.shortest = new
                    self.log("%d calls are left" % len(lines))
                    new = self.round(make, lines, make is not pairs)
                if done == len(makers):
                    break
        return lines


class Command:
    """The predicate that plays candidates with a command."""

    def __init__(self, command, progress=None, name="minimise.batch"):
        self.command = command
        self.progress = progress
        self.name = name

    def play(self, batch, first):
        """({failing}, index of the first that was not played or None)."""
        with open(self.name, "w") as f:
            for i in range(first, len(batch)):
                f.write(show(batch[i], i + 1))
        if self.progress and os.path.exists(self.progress):
            os.unlink(self.progress)
        done = subprocess.run(
            self.command.replace("{}", shlex.quote(self.name)), shell=True,
            stdout=subprocess.PIPE, universal_newlines=True, check=False)
        failing = {int(n) - 1 for n in
                   re.findall(r"^fails (\d+)$", done.stdout, re.M)}
        failing &= set(range(first, len(batch)))
        if not done.returncode or not self.progress:
            return failing, None
        last = None
        if os.path.exists(self.progress):
            with open(self.progress) as f:
                seeds = re.findall(r"^seed (\d+)$", f.read(), re.M)
            last = int(seeds[-1]) - 1 if seeds else None
        if last is None or not first <= last < len(batch):
            raise SystemExit("minimise.py: %s: nothing was played" %
                             self.command)
        return failing | {last}, last + 1

    def __call__(self, batch):
        failing, first = set(), 0
        while first is not None and first < len(batch):
            more, first = self.play(batch, first)
            failing |= more
        return failing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sequence")
    parser.add_argument("--trace", help="of the run that failed")
    parser.add_argument("--run", required=True, metavar="COMMAND")
    parser.add_argument("--progress", metavar="FILE")
    parser.add_argument("--batch", default="minimise.batch", metavar="FILE",
                        help="where the candidates are written")
    args = parser.parse_args()
    with open(args.sequence) as f:
        lines = parse(f.read())
    trace = None
    if args.trace:
        with open(args.trace) as f:
            trace = parse_trace(f.read())
    fails = Command(args.run, args.progress, args.batch)
    minimiser = Minimiser(fails,
                          lambda text: print("# " + text, file=sys.stderr))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        minimiser.run(lines, trace)
    except KeyboardInterrupt:
        print("# interrupted; the shortest so far:", file=sys.stderr)
    if not minimiser.shortest:
        sys.exit("minimise.py: %s does not fail" % args.sequence)
    sys.stdout.write(show(minimiser.shortest, 1))


if __name__ == "__main__":
    main()
