# SPDX-License-Identifier: GPL-2.0
"""Moves that open, close, ask, and that pass, release and destroy handles."""
from gen_base import SLOTS, Base, Peer


class HandleMoves(Base):
    def move_open(self):
        free = [i for i in range(SLOTS) if i not in self.peers]
        if len(self.peers) >= self.n_peers or not free:
            return False
        if self.dice.chance(self.spec["users"]):
            self.move_euid()
        peer = Peer(self.dice.pick(free[:2]))
        peer.tiny = self.dice.chance(self.spec["tiny"])
        sound = self.add("open", {
            "slot": peer.name, "limits": self.limits(peer.tiny),
            "flags": "0x%x" % self.dice.pick((0, 1, 1))})
        if sound:
            self.peers[peer.slot] = peer
        return True

    def move_euid(self):
        self.uid = self.dice.pick((0, 1001, 1002))
        self.add("euid", {"uid": self.uid}, False)
        return True

    def move_close(self):
        if len(self.peers) <= 1 < self.n_peers and self.dice.chance(0.7):
            return False
        peer = self.dice.pick(list(self.peers.values()))
        self.add("close", {"fd": peer.name}, False)
        peer.forget()
        del self.peers[peer.slot]
        return True

    def move_disconnect(self):
        peer = self.dice.pick(list(self.peers.values()))
        if self.add("disconnect", {"fd": peer.name, "flags": "0x0"}):
            peer.forget()
            peer.down = True
        return True

    def move_reset(self):
        d = self.dice
        peer = self.any_peer()
        flags = d.weighted(((0, 3), (1, 3), (2, 2), (3, 2), (7, 3), (4, .2)))
        if flags == 7 and d.chance(0.5):
            self.move_euid()
        limits = "none"
        if d.chance(0.4 if flags else 0.95):
            limits = self.limits(d.chance(0.5 if peer.tiny else 0.2), True)
        sound = self.add("reset", {"fd": peer.name, "limits": limits,
                                   "flags": "0x%x" % flags})
        if sound and flags & 1:
            peer.forget()
        if sound and flags & 2:
            peer.seed = None
        if sound and flags == 1 and peer.seed:
            # What the seed pins is left with one count.
            for node in peer.seed:
                if node and node.owner is peer and d.chance(0.7):
                    self.add("release", {"fd": peer.name, "n": 1,
                                         "ids": "0x%x" % node.number,
                                         "flags": "0x0"})
        return True

    def move_query(self):
        self.add("query", {"fd": self.any_peer().name, "flags": "0x0"})
        return True

    def move_poll(self):
        self.add("poll", {"fd": self.any_peer().name})
        return True

    # Moves: handles

    def move_connect(self):
        d = self.dice
        src, dst = self.any_peer(), self.any_peer()
        if src is dst and d.chance(0.7):
            return False
        ids, nodes = [], []
        for _ in range(d.weighted(((1, 6), (2, 3), (3, 1)))):
            text, node = self.own_id(src, None)
            ids.append(text)
            nodes.append(node)
        name = dst.name
        if self.add("transfer", {
                "src": src.name, "dst": name,
                "ids": ",".join(ids), "n": len(ids),
                "flags": "0x0"}) and not dst.down:
            self.create(nodes)
            for node in nodes:
                self.show(dst, node)
        return True

    def move_transfer(self):
        d = self.dice
        src = self.peer_with(lambda p: p.handles or p.replies)
        if not src:
            return False
        dst = self.any_peer()
        ids, nodes, refused = [], [], False
        for _ in range(d.weighted(((1, 6), (2, 3), (4, 1)))):
            if src.replies and d.chance(self.spec["replies"] / 8):
                ids.append(self.ref("r", d.below(len(src.replies))))
                refused = True          # it moves in messages only
            elif src.handles:
                index = self.handle_index(src)
                ids.append(self.ref("h", index))
                nodes.append(self.node_at(src, index))
        if not ids:
            return False
        if self.add("transfer", {
                "src": src.name, "dst": dst.name, "ids": ",".join(ids),
                "n": len(ids), "flags": "0x0"}) and not (dst.down or refused):
            for node in nodes:
                self.show(dst, node)
        return True

    def some(self, have):
        """A few distinct indices of a list with @have entries."""
        n = min(have, self.dice.weighted(((1, 7), (2, 3), (3, 1))))
        first = self.dice.below(max(1, have))
        return [(first + i) % max(1, have) for i in range(n)] or [0]

    def move_release(self):
        peer = self.peer_with(lambda p: p.handles)
        if not peer:
            return False
        picks = self.some(len(peer.handles))
        if self.dice.chance(0.5):
            dead = [i for i, n in enumerate(peer.handles) if not n.alive]
            picks = [self.dice.pick(dead)] if dead else picks
        if self.add("release", {
                "fd": peer.name, "ids": ",".join(self.ref("h", i) for i in picks),
                "n": len(picks), "flags": "0x0"}) and peer.handles:
            gone = [peer.handles[i] for i in picks if i < len(peer.handles)]
            # How often it was shown is anybody's guess.
            peer.handles = [n for n in peer.handles
                            if n not in gone or self.dice.chance(0.3)]
        return True

    def move_release_own(self):
        """Of a node that is alive: refused if it is the last reference."""
        peer = self.any_peer()
        text = "0x%x" % self.dice.pick(self.ids)
        if self.dice.chance(0.8):
            text = self.ref("n", self.dice.below(4))
        self.add("release", {"fd": peer.name, "ids": text, "n": 1,
                             "flags": "0x0"})
        return True

    def move_give_up(self):
        peer = self.peer_with(lambda p: p.replies)
        if not peer:
            return False
        if self.add("release", {"fd": peer.name, "ids": self.ref("r", 0), "n": 1,
                                "flags": "0x0"}) and peer.replies:
            request = peer.replies.pop(0)
            if request.alive and not request.owner.down:
                request.owner.queue.append(([], None, request))
        return True

    def kill(self, nodes):
        for node in nodes:
            node.alive = False
            for peer in self.up():
                if node in peer.handles or node in peer.replies:
                    peer.queue.append(([], None, None))

    def move_destroy(self):
        d = self.dice
        peer = self.peer_with(lambda p: p.nodes)
        if not peer:
            return False
        if d.chance(0.06) and peer.handles:
            ids = [self.ref("h", self.handle_index(peer))]
            nodes = []
        else:
            known = list(peer.nodes) or list(self.ids)
            numbers = [known[i] for i in self.some(len(known))]
            if d.chance(0.03):
                numbers.append(numbers[0])
            ids = [self.ref("n", known.index(n)) if d.chance(0.9) else
                   "0x%x" % n for n in numbers]
            nodes = [peer.nodes[n] for n in numbers if n in peer.nodes]
            if peer.requests and d.chance(0.15):
                number = d.pick(list(peer.requests))
                ids.append(self.ref("q", list(peer.requests).index(number)))
                nodes.append(peer.requests[number])
        flags = d.below(2)
        if self.add("destroy", {"fd": peer.name, "ids": ",".join(ids),
                                "n": len(ids), "flags": "0x%x" % flags}):
            self.kill(nodes)
            for node in nodes:
                (peer.requests if node.request else peer.nodes).pop(
                    node.number, None)
            if nodes and not flags:
                peer.queue.append(([], None, None))
        return True

    def move_cancel(self):
        peer = self.peer_with(lambda p: p.requests)
        if not peer:
            return False
        known = list(peer.requests) or list(self.reply_ids)
        index = self.dice.below(len(known))
        number = known[index]
        text = "0x%x" % number
        if self.dice.chance(0.9):
            text = self.ref("q", index)
        if self.add("destroy", {
                "fd": peer.name, "ids": text, "n": 1,
                "flags": "0x%x" % self.dice.below(2)}):
            node = peer.requests.pop(number, None)
            if node:
                self.kill([node])
        return True

    def move_slices(self):
        peer = self.peer_with(lambda p: p.slices)
        if not peer:
            return False
        picks = self.some(peer.slices)
        if self.add("slices", {
                "fd": peer.name, "ids": ",".join(self.ref("s", i) for i in picks),
                "n": len(picks), "flags": "0x0"}):
            peer.slices = max(0, peer.slices - len(picks))
        return True

    def move_check(self):
        peer = self.peer_with(lambda p: p.slices)
        if not peer:
            return False
        self.add("check", {"fd": peer.name,
                           "off": self.ref("s", self.dice.below(
            peer.slices or 1))},
                 False)
        return True
