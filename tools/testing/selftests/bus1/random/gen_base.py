# SPDX-License-Identifier: GPL-2.0
"""Dice, what the generator believes about the peers, and how it writes calls."""
import random

import gen_bad
from gen_themes import DEFAULTS, THEMES, WEIGHTS

NEW = 4
SLOTS = 6
OWN_IDS = (0x8, 0x10, 0x18, 0x20, 0x28, 0x30, 0x0)
REPLY_IDS = (0x100, 0x108, 0x110, 0x118, 0x120)


class Dice:
    """Choices that need nothing but random.random()."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, n):
        return int(self.random() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, seq):
        return seq[self.below(len(seq))]

    def chance(self, p):
        return self.random() < p

    def weighted(self, pairs):
        left = self.random() * sum(w for _, w in pairs)
        for value, weight in pairs:
            left -= weight
            if left < 0:
                return value
        return pairs[-1][0]


class Node:
    """A node, or with request=True what a reply handle stands for."""

    def __init__(self, owner, number, request=False):
        self.owner = owner
        self.number = number
        self.request = request
        self.alive = True


class Peer:
    """What the generator believes about an open peer."""

    def __init__(self, slot):
        self.slot = slot
        self.name = "p%d" % slot
        self.nodes = {}         # number -> Node
        self.requests = {}      # reply_id -> Node
        self.handles = []       # Nodes, in the order in which they were shown
        self.replies = []
        self.queue = []         # (carried Nodes, reply Node or None, answered)
        self.slices = 0
        self.seed = None
        self.down = False
        self.tiny = False

    def forget(self):
        for node in list(self.nodes.values()) + list(self.requests.values()):
            node.alive = False
        self.nodes, self.requests = {}, {}
        self.handles, self.replies, self.queue = [], [], []
        self.slices = 0


class Base:
    """Draws a theme; names things that are likely to be there."""

    def __init__(self, seed, calls=100, theme=None):
        self.dice = Dice(seed)
        self.seed = seed
        self.calls = calls
        name = self.dice.weighted(
            [(t, v.get("share", DEFAULTS["share"])) for t, v in THEMES.items()])
        self.theme = theme or name
        self.spec = dict(DEFAULTS, **THEMES[self.theme])
        self.weights = [
            (move, w * (THEMES[self.theme].get(move, 1)
                        if move not in DEFAULTS else 1))
            for move, w in WEIGHTS.items()]
        self.n_peers = self.dice.between(*self.spec["peers"])
        self.ids = OWN_IDS[:self.dice.between(*self.spec["ids"])]
        self.reply_ids = REPLY_IDS[:self.dice.between(2, len(REPLY_IDS))]
        if self.dice.chance(0.3):
            # Requests and nodes compete for the same numbers.
            self.reply_ids = self.reply_ids[:2] + self.ids[:2]
        self.uid = 0
        self.peers = {}
        self.lines = []
        self.label = 0

    # Output

    def add(self, op, args, bad_ok=True):
        """Writes one call, some of them spoilt. Returns whether it is sound."""
        args = dict(args)
        spoilt = False
        if bad_ok and self.dice.chance(self.spec["bad"]):
            spoilt = gen_bad.spoil(self.dice, op, args,
                                   self.closed_slot())
        self.label += 1
        self.lines.append("%d %s %s" % (self.label, op, " ".join(
            "%s=%s" % kv for kv in args.items())))
        return not spoilt

    def closed_slot(self):
        free = [i for i in range(SLOTS) if i not in self.peers]
        return "p%d" % self.dice.pick(free) if free else "bad"

    # Guesses

    def up(self):
        return [p for p in self.peers.values() if not p.down]

    def any_peer(self):
        """Mostly one that still works."""
        up = self.up()
        if up and self.dice.chance(0.97):
            return self.dice.pick(up)
        return self.dice.pick(list(self.peers.values()))

    def peer_with(self, test):
        """One that has what a move needs; rarely any; or None."""
        fit = [p for p in self.up() if test(p)]
        if fit:
            return self.dice.pick(fit)
        return self.any_peer() if self.dice.chance(0.06) else None

    def handle_index(self, peer, test=lambda node: True):
        """The N of an hN, mostly of a node that is alive and passes."""
        fit = [i for i, n in enumerate(peer.handles) if n.alive and test(n)]
        if fit and self.dice.chance(0.93):
            return self.dice.pick(fit)
        return self.dice.below(max(1, len(peer.handles)))

    def node_at(self, peer, index):
        if not peer.handles:
            return None
        return peer.handles[index % len(peer.handles)]

    def own_id(self, peer, new):
        """A node of one's own: (text, Node). Mostly the player adds NEW."""
        known = [i for i in self.ids if i in peer.nodes]
        fresh = [i for i in self.ids
                 if i not in peer.nodes and i not in peer.requests]
        if new is None:
            new = not known or (fresh and self.dice.chance(self.spec["new"]))
        number = self.dice.pick((fresh if new else known) or self.ids)
        node = peer.nodes.get(number) or Node(peer, number)
        if self.dice.chance(0.93):
            return "0x%x*" % number, node
        return "0x%x" % (number | (NEW if new else 0)), node

    def ref(self, kind, index):
        """A symbol. With '?' the player skips the call if there is none."""
        return "%s%d%s" % (kind, index, "?" if self.dice.chance(0.97) else "")

    @staticmethod
    def create(nodes):
        for node in nodes:
            if node and not node.request and not node.owner.down:
                node.owner.nodes.setdefault(node.number, node)

    @staticmethod
    def show(peer, node):
        if node and node not in peer.handles:
            peer.handles.append(node)

    def limits(self, tiny, huge=False):
        """huge: now and then what a user has no room for.

        Several players may be of one user, so whatever they have together there
        is room for the rest."""
        d = self.dice
        if not tiny:
            if d.chance(0.8):
                return "none"
            large = ("100000", "100000", "100000000", "10000")
            picked = [d.pick(("keep", "1000", n)) for n in large]
            if huge and d.chance(0.3):
                picked[d.pick((0, 1, 3))] = str(2**31 - 1)
            return ",".join(picked)
        pools = ((0, 1, 2, 3, 4, 6, 6, 8, 8, 10, 12),
                 (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 24),
                 (0, 8, 16, 40, 64, 64, 100, 100, 150, 200, 200, 400, 1000),
                 (0, 1, 2, 3, 4, 6, 8, 8, 10))
        if d.chance(0.6):
            # One resource that is short is enough to reach its refusal.
            short = d.below(4)
            return ",".join(str(d.pick(pools[i])) if i == short else "keep"
                            for i in range(4))
        return ",".join(str(d.pick(pools[i])) if d.chance(0.75) else "keep"
                        for i in range(4))
