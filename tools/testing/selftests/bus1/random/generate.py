#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random sequences of bus1 calls, for the player.

The same seed gives the same sequence with every version of Python: nothing but
random.random() is used, whose results are promised to stay.

What a call will return is only guessed at, to make calls that are likely to
succeed and reach deep states. A wrong guess does no harm: the player resolves
symbolic IDs by what has really happened, and skips what would make no sense:

	h0? r0? s0?	a handle, a reply handle, a slice that the peer holds
	n0? q0?		a node of its own; a request that waits for its reply
	0x18*		its own node, with NEW when it does not exist
	0x100?		an ID that is free
	more=1		of a receive: unless nothing has happened since EAGAIN

'?' is what skips: without it the call is made with an ID that is unknown.
"""
import argparse
import sys

from gen_base import NEW
from gen_messages import (HANDLES, POOL, R_INSTALL, R_NONBLOCK, MessageMoves)
from gen_moves import HandleMoves
from gen_themes import THEMES


class Generator(HandleMoves, MessageMoves):
    def step(self):
        if not self.peers:
            self.move_open()
            return
        for _ in range(200):
            move = self.dice.weighted(self.weights)
            if getattr(self, "move_" + move)():
                return

    def drain(self, peer):
        """Until nothing comes any more; the player leaves out the rest."""
        for i in range(len(peer.queue) + 4):
            self.add("recv", {
                "fd": peer.name, "max_offset": "0x%x" % POOL, "deadline": "0",
                "req": "0x0", "release": "0x0", "more": 1,
                "flags": "0x%x" % (R_NONBLOCK | R_INSTALL * (i % 2))}, False)
            if i == 1:
                self.add("query", {"fd": peer.name, "flags": "0x0"}, False)
        peer.queue = []

    def ending(self):
        """Everything that is still there is read, and then goes; or it goes
        unread, which is where references are easily dropped twice."""
        abrupt = self.dice.chance(0.35)
        for peer in list(self.peers.values()):
            if not abrupt:
                self.drain(peer)
            for i in range(min(peer.slices, 2)):
                self.add("check", {"fd": peer.name, "off": "s%d" % i}, False)
            self.add("poll", {"fd": peer.name}, False)
        while self.peers:
            peer = self.dice.pick(list(self.peers.values()))
            self.add("close", {"fd": peer.name}, False)
            mine = list(peer.nodes.values()) + list(peer.requests.values())
            del self.peers[peer.slot]
            self.kill(mine)
            for other in self.up():
                if not abrupt or self.dice.chance(0.3):
                    self.drain(other)
        for name in ("p0", "p1"):
            self.add("query", {"fd": name, "flags": "0x0"}, False)

    def carried_theme(self):
        """The one of the fixed shape; only the details vary."""
        a, b = 0x18, 0x10
        while not self.peers:
            self.move_open()
        peer = next(iter(self.peers.values()))
        if self.dice.chance(0.3):
            a, b = b, a
        for text, handles in (("0x%x" % (a | NEW), "-"),
                              ("0x%x" % (b | NEW), "0x%x" % a)):
            args, _ = self.message(peer, [text], 0, [])
            args.update(handles=handles, nh=int(handles != "-"),
                        flags=args["flags"] & ~HANDLES |
                        HANDLES * (handles != "-"))
            self.put("send", peer, args)
        self.add("destroy", {"fd": peer.name, "ids": "0x%x" % a, "n": 1,
                             "flags": "0x1"})
        if self.dice.chance(0.5):
            self.add("close", {"fd": peer.name})
        else:
            self.add(*self.dice.pick((
                ("disconnect", {"fd": peer.name, "flags": "0x0"}),
                ("reset", {"fd": peer.name, "limits": "none",
                           "flags": "0x1"}))))
            self.add("close", {"fd": peer.name})

    def run(self):
        self.lines = ["# seed %d" % self.seed, "# theme %s" % self.theme]
        if self.theme == "carried":
            self.carried_theme()
            return self.lines
        for _ in range(self.n_peers):
            self.move_open()
        while not self.peers:
            self.move_open()
        # Not always: a node that was never shown to anybody ends differently.
        most = 3 * self.n_peers if self.n_peers > 1 else 2
        for _ in range(self.dice.below(most + 1)):
            self.move_connect()
        while self.label < self.calls:
            self.step()
        self.ending()
        return self.lines


def generate(seed, calls=100, theme=None):
    """The lines of one sequence."""
    return Generator(seed, calls, theme).run()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=1,
                        help="how many sequences, of consecutive seeds")
    parser.add_argument("--calls", type=int, default=100,
                        help="about how many calls, not counting the ending")
    parser.add_argument("--theme", choices=sorted(THEMES),
                        help="this theme rather than the one the seed draws")
    parser.add_argument("--without", action="append", default=[],
                        choices=sorted(THEMES),
                        help="leave out the seeds that draw this theme")
    args = parser.parse_args()
    for seed in range(args.seed, args.seed + args.count):
        lines = generate(seed, args.calls, args.theme)
        if lines[1].split()[-1] not in args.without:
            sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
