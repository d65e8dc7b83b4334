#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the generator and the minimiser. They need no guest."""
import os
import re
import sys
import tempfile
import unittest

import gen_base
import generate
import minimise
from gen_themes import DEFAULTS, THEMES, WEIGHTS

NUMBER = r"\d+"
HEX = r"0x[0-9a-f]+"
PEER = r"p[0-5]"
FD = r"(p[0-5]|bad|null|path|eventfd|memfd)"
NAME = r"([hrsnq]\d+\??|0x[0-9a-f]+[?*]?|@\d+\.([dro]|[ht]\d+))"
POINTER = r"(null|bad|kernel|odd|ro)"


def items(entry, separator=","):
    return r"(-|%s(%s%s)*)" % (entry, re.escape(separator), entry)


VALUES = {
    "slot": PEER, "fd": FD, "src": FD, "dst": FD,
    "flags": HEX, "size": NUMBER, "rsize": NUMBER, "tail": "1", "rtail": "1",
    "limits": r"(none|(keep|\d+)(,(keep|\d+)){3})", "ids": items(NAME),
    "dests": items(NAME), "handles": items(NAME), "vecs": items(NUMBER, "+"),
    "fds": items(r"(m[0-3]|p[0-5]|unix|uring|path|bad)"), "reply_id": NAME,
    "errors": "(0|1|bad)", "max_offset": HEX, "deadline": "(0|past)",
    "req": NAME, "release": NAME, "off": NAME, "uid": NUMBER, "more": "1",
}
VALUES.update({k: NUMBER for k in (
    "n", "nd", "nv", "nh", "nf", "buf", "reply_bytes", "reply_handles", "reply_fds")})
VALUES.update({k: POINTER for k in (
    "ptr", "rptr", "bptr", "sptr", "dptr", "vptr", "hptr", "fptr", "vbase")})

SEND = ("dests nd vecs nv handles nh fds nf reply_id reply_bytes reply_handles "
        "reply_fds flags errors size? tail? ptr? dptr? vptr? hptr? fptr? vbase?")
RECV = "max_offset deadline req release buf? bptr?"
KEYS = {op: keys.split() for op, keys in {
    "open": "slot limits flags size? tail? ptr?",
    "close": "fd",
    "disconnect": "fd flags",
    "query": "fd flags size? tail? ptr?",
    "reset": "fd limits flags size? tail? ptr?",
    "transfer": "src dst ids n flags sptr? dptr?",
    "release": "fd ids n flags ptr?",
    "destroy": "fd ids n flags ptr?",
    "slices": "fd ids n flags ptr?",
    "send": "fd " + SEND,
    "recv": "fd flags size? tail? ptr? more? " + RECV,
    "call": "fd " + SEND + " " + RECV + " rsize? rtail? rptr?",
    "poll": "fd",
    "euid": "uid",
    "check": "fd off",
}.items()}


class GeneratorTest(unittest.TestCase):
    def check_line(self, text):
        line = minimise.Line(text)
        self.assertIn(line.op, KEYS, text)
        keys = KEYS[line.op]
        for key, value in line.args.items():
            self.assertTrue(key in keys or key + "?" in keys, text)
            self.assertRegex(value, "^%s$" % VALUES[key], text)
        for key in keys:
            self.assertTrue(key.endswith("?") or key in line.args, text)
        return line

    def test_grammar(self):
        for seed in range(300):
            text = generate.generate(seed)
            self.assertEqual(text[0], "# seed %d" % seed)
            labels = [self.check_line(t).label for t in text[2:]]
            self.assertEqual(len(labels), len(set(labels)))
            self.assertGreater(len(labels), 4)

    def test_same_seed(self):
        for seed in (0, 7, 2**40):
            self.assertEqual(generate.generate(seed), generate.generate(seed))
        self.assertNotEqual(generate.generate(1)[2:], generate.generate(2)[2:])

    def test_every_python(self):
        """Only what random() gives is used, and that is fixed."""
        dice = gen_base.Dice(12345)
        self.assertEqual([dice.below(1000) for _ in range(6)],
                         [416, 10, 825, 298, 368, 193])
        for name in ("generate.py", "gen_base.py", "gen_bad.py", "gen_moves.py",
                     "gen_messages.py"):
            with open(os.path.join(os.path.dirname(__file__) or ".",
                                   name)) as f:
                used = set(re.findall(r"random\.(\w+)", f.read()))
            self.assertLessEqual(used, {"Random", "random"}, name)

    def test_every_theme(self):
        seen = {generate.generate(s, 5)[1].split()[-1] for s in range(400)}
        self.assertEqual(seen, set(THEMES))
        for name, theme in THEMES.items():
            self.assertLessEqual(set(theme), set(WEIGHTS) | set(DEFAULTS))
            self.assertEqual(generate.generate(1, 20, name)[1],
                             "# theme " + name)

    def test_every_operation(self):
        text = [t for s in range(60) for t in generate.generate(s)]
        ops = {t.split()[1] for t in text if t[0] != "#"}
        self.assertEqual(ops, set(KEYS))

    def test_carried(self):
        lines = [minimise.Line(t) for t in
                 generate.generate(3, theme="carried") if t[0] != "#"]
        ops = [line.op for line in lines if line.op != "euid"]
        self.assertEqual(ops[:4], ["open", "send", "send", "destroy"])
        self.assertEqual(ops[-1], "close")
        self.assertEqual(lines[-1].args["fd"], "p%s" % lines[-1].args["fd"][1])


def fake(needed):
    """A predicate: the calls that satisfy @needed, in this order."""
    calls = []

    def one(lines):
        left = list(needed)
        for line in lines:
            if left and left[0](line):
                left.pop(0)
        return not left

    def fails(batch):
        calls.append(len(batch))
        return {i for i, lines in enumerate(batch) if one(lines)}

    fails.calls = calls
    return fails


class MinimiseTest(unittest.TestCase):
    def minimise(self, needed, seed=4, **kw):
        lines = minimise.parse("\n".join(
            generate.generate(seed, theme="everything")))
        fails = fake(needed)
        found = minimise.Minimiser(fails).run(lines, **kw)
        return found, fails

    def test_chunks(self):
        found, fails = self.minimise([lambda c: c.op == "open",
                                      lambda c: c.op == "transfer",
                                      lambda c: c.op == "close"])
        self.assertEqual([c.op for c in found], ["open", "transfer", "close"])
        self.assertEqual(found[0].args["limits"], "none")
        self.assertEqual(found[1].args["ids"], "-")
        self.assertLess(len(fails.calls), 40)

    def test_arguments(self):
        found, _ = self.minimise([
            lambda c: c.op == "send" and c.args["dests"] != "-",
            lambda c: c.op == "send" and "fds" in c.args and
            c.args["fds"] != "-" and int(c.args["flags"], 16) & 16], seed=5)
        self.assertEqual(len(found), 2)
        self.assertEqual(found[0].args["dests"].count(","), 0)
        self.assertEqual(found[0].args["flags"], "0x0")
        self.assertEqual(found[0].args["vecs"], "-")
        self.assertEqual(found[0].args["handles"], "-")
        self.assertEqual(found[1].args["dests"], "-")
        self.assertEqual(found[1].args["flags"], "0x10")
        self.assertEqual(found[1].args["fds"].count(","), 0)
        self.assertEqual(found[1].args["nf"], "1")

    def test_labels_stay(self):
        found, _ = self.minimise([lambda c: c.label == 9,
                                  lambda c: c.label == 31])
        self.assertEqual([c.label for c in found], [9, 31])

    def test_pairs(self):
        """Two calls that are there together or not at all."""
        lines = minimise.parse("1 query fd=p0\n2 close fd=p0\n3 poll fd=p1\n"
                               "4 close fd=p1\n")

        def fails(batch):
            return {i for i, c in enumerate(batch)
                    if any(x.label == 3 for x in c) and
                    any(x.label == 1 for x in c) ==
                    any(x.label == 4 for x in c)}

        found = minimise.Minimiser(fails).run(lines)
        self.assertEqual([c.label for c in found], [3])

    def test_no_failure(self):
        found, _ = self.minimise([lambda c: False])
        self.assertIsNone(found)

    TRACE = """# seed 1 abi x86_64 pid 1 uid 0 gid 0
1 open slot=p0 limits=none flags=0x0 -> ret=0
2 transfer src=p0 dst=p0 ids=0xc n=1 flags=0x0 -> ret=0 out=0x8
# 3 skipped
4 send fd=p0 dests=0x8 nd=1 handles=0x8,0x14 nh=2 flags=0x8 -> ret=0 err=-
5 recv fd=p0 req=0x0 release=0x0 flags=0x4 -> ret=0 type=1 off=0x40 handles=0x8,0x10 reply=0xb
6 slices fd=p0 ids=0x40 n=1 flags=0x0 -> ret=0
7 release fd=p0 ids=0xb n=1 flags=0x0 -> ret=0
"""

    def test_explicit(self):
        lines = minimise.parse(
            "1 open slot=p0 limits=none flags=0x0\n"
            "2 transfer src=p0 dst=p0 ids=0x8* n=1 flags=0x0\n"
            "3 release fd=p0 ids=r0? n=1 flags=0x0\n"
            "4 send fd=p0 dests=h0? nd=1 handles=0x8*,0x14 nh=2 flags=0x8\n"
            "5 recv fd=p0 req=0x0 release=0x0 flags=0x4\n"
            "6 slices fd=p0 ids=s3? n=1 flags=0x0\n"
            "7 release fd=p0 ids=r0 n=1 flags=0x0\n")
        found = minimise.explicit(lines, minimise.parse_trace(self.TRACE))
        self.assertEqual([c.label for c in found], [1, 2, 4, 5, 6, 7])
        ids = {c.label: c.args.get("ids") for c in found}
        self.assertEqual(ids[2], "0xc")
        self.assertEqual(found[2].args["dests"], "@2.t0")
        self.assertEqual(found[2].args["handles"], "0x8,0x14")
        self.assertEqual(ids[6], "@5.o")
        self.assertEqual(ids[7], "@5.r")

    def test_explicit_only_if_it_fails(self):
        lines = minimise.parse("6 slices fd=p0 ids=s3? n=1 flags=0x0\n")
        trace = minimise.parse_trace(self.TRACE)
        fails = fake([lambda c: c.args["ids"] == "s3?"])
        found = minimise.Minimiser(fails).run(lines, trace)
        self.assertEqual(found[0].args["ids"], "s3?")

    def test_command(self):
        """A panic: the candidate that was being played, and then the rest."""
        with tempfile.TemporaryDirectory() as top:
            script = os.path.join(top, "run.py")
            progress = os.path.join(top, "progress")
            with open(script, "w") as f:
                f.write("import sys\n"
                        "seed = None\n"
                        "for line in open(sys.argv[1]):\n"
                        "    if line[0] == '#':\n"
                        "        seed = line.split()[2]\n"
                        "        open(%r, 'a').write('seed %%s\\n' %% seed)\n"
                        "    elif 'close' in line:\n"
                        "        sys.exit(1)\n"
                        "    elif 'poll' in line:\n"
                        "        print('fails', seed)\n" % progress)
            fails = minimise.Command(
                "%s %s {}" % (sys.executable, script), progress,
                os.path.join(top, "batch"))
            batch = [minimise.parse("1 %s fd=p0" % op) for op in
                     ("poll", "query", "close", "query", "close", "poll",
                      "query")]
            self.assertEqual(fails(batch), {0, 2, 4, 5})


if __name__ == "__main__":
    unittest.main()
