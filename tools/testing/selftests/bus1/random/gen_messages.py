# SPDX-License-Identifier: GPL-2.0
"""Moves that send and receive."""
from gen_base import Base, Node

POOL = 0x1000000

CONTINUE, SEED, REPLY, HANDLES, FDS = 1, 2, 4, 8, 16
R_SEED, R_INSTALL, R_NONBLOCK, R_RELEASE, R_PIDFD, R_REPLY = 1, 2, 4, 8, 16, 32

SMALL = (0, 1, 3, 7, 8, 9, 16, 24, 31, 64)
MIDDLE = (0, 8, 40, 100, 200, 240, 248, 255, 256, 257, 1000, 2048)
BIG = (4000, 4095, 4096, 4097, 8192, 20000, 65536, 70000, 200000)


class MessageMoves(Base):
    def vecs(self, tiny):
        d = self.dice
        if d.chance(0.1):
            return "-", 0
        n = d.weighted(((1, 12), (2, 4), (3, 2), (8, 0.6)))
        pool = SMALL
        if not tiny or d.chance(0.1):
            pool = d.weighted(((SMALL, 1 - self.spec["big"]), (MIDDLE, 0.5),
                               (BIG, self.spec["big"])))
        return "+".join(str(d.pick(pool)) for _ in range(n)), n

    def carried(self, peer, moves, limit=3):
        """Handles for a message: (texts, Nodes, reply handles that move)."""
        d = self.dice
        texts, nodes, moved = [], [], []
        if not d.chance(self.spec["handles"]):
            return texts, nodes, moved
        for _ in range(d.between(1, limit)):
            if moves and len(moved) < len(peer.replies) and d.chance(
                    self.spec["replies"]):
                texts.append(self.ref("r", len(moved)))
                moved.append(peer.replies[len(moved)])
            elif peer.handles and d.chance(0.5):
                index = self.handle_index(peer)
                texts.append(self.ref("h", index))
                nodes.append(self.node_at(peer, index))
            else:
                text, node = self.own_id(peer, None)
                texts.append(text)
                nodes.append(node)
        return texts, nodes, moved

    def message(self, peer, dests, flags, targets, moves=False):
        """The arguments of a send, and what the message will carry."""
        d = self.dice
        tiny = any(t and t.owner.tiny for t in targets)
        vecs, nv = self.vecs(tiny)
        texts, nodes, moved = self.carried(peer, moves)
        fds = []
        if d.chance(self.spec["fds"]):
            fds = ["m%d" % d.below(4) for _ in range(d.between(1, 3))]
            if d.chance(0.04):
                fds.append(d.pick(("p0", "p1", "unix", "uring", "path", "bad")))
        if texts:
            flags |= HANDLES
        if fds:
            flags |= FDS
        args = {
            "dests": ",".join(dests) or "-", "nd": len(dests), "vecs": vecs,
            "nv": nv, "handles": ",".join(texts) or "-", "nh": len(texts),
            "fds": ",".join(fds) or "-", "nf": len(fds), "reply_id": "0x0",
            "reply_bytes": 0, "reply_handles": 0, "reply_fds": 0,
            "flags": flags, "errors": d.weighted(((1, 6), (0, 3)))}
        return args, (nodes, moved)

    def budget(self, args, number):
        d = self.dice
        args["reply_id"] = "0x%x%s" % (number, "?" if d.chance(0.95) else "")
        args["reply_bytes"] = d.pick((0, 8, 16, 64, 64, 200, 200, 256, 257, 1000,
                                      4096))
        args["reply_handles"] = d.pick((0, 0, 1, 2, 3, 4))
        args["reply_fds"] = d.pick((0, 0, 0, 1, 2, 3))

    def put(self, op, peer, args, recv=None):
        """Writes a send or a call."""
        out = {"fd": peer.name}
        flags = args.pop("flags")
        errors = args.pop("errors")
        out.update(args)
        if recv is not None:
            flags |= recv.pop("flags") << 16
            out.update(recv)
        out["flags"] = "0x%x" % flags
        out["errors"] = errors
        return self.add(op, out)

    def sent(self, peer, targets, cargo, request=None):
        nodes, moved = cargo
        self.create(nodes + targets)
        peer.replies = [r for r in peer.replies if r not in moved]
        for target in targets:
            if target and target.alive and not target.owner.down:
                target.owner.queue.append((nodes + moved, request, None))
        if request:
            peer.requests[request.number] = request

    def destination(self, peer, new=0.0, own=0.0):
        """(text, Node) of a node to send to."""
        d = self.dice
        if d.chance(new + own):
            return self.own_id(peer, d.chance(new / (new + own)))
        index = self.handle_index(peer)
        return self.ref("h", index), self.node_at(peer, index)

    def one(self, op, new=0.0, own=0.0, flags=0, recv=None, request=False):
        d = self.dice
        peer = self.peer_with(lambda p: p.handles or own or new)
        if not peer or (own and not peer.nodes and d.chance(0.9)):
            return False
        text, node = self.destination(peer, new, own)
        alone = not flags & CONTINUE
        args, cargo = self.message(peer, [text], flags, [node],
                                   alone or d.chance(0.1))
        about = None
        if request:
            free = [i for i in self.reply_ids
                    if i not in peer.requests and i not in peer.nodes]
            if not free and d.chance(0.9):
                return False
            number = d.pick(free or self.reply_ids)
            about = Node(peer, number, True)
            self.budget(args, number)
            args["flags"] |= REPLY
        if self.put(op, peer, args, recv) and (alone or not cargo[1]):
            self.sent(peer, [node], cargo, about)
            if recv is not None and not request:
                self.received(peer, 0)
        return True

    def move_send(self):
        return self.one("send", flags=self.dice.weighted(((0, 9),
                                                          (CONTINUE, 1))))

    def move_send_own(self):
        return self.one("send", own=1.0)

    def move_send_new(self):
        return self.one("send", new=1.0)

    def move_request(self):
        own = 0.15 if self.n_peers > 1 else 0.8
        return self.one("send", own=own, new=0.05, request=True)

    def recv_args(self, flags=None):
        d = self.dice
        if flags is None:
            flags = d.weighted(((R_INSTALL, 5), (0, 2)))
            flags |= d.pick((0, R_NONBLOCK))
        args = {"max_offset": "0x%x" % POOL,
                "deadline": d.weighted((("0", 4), ("past", 1))),
                "req": "0x0", "release": "0x0", "flags": flags}
        if d.chance(0.5):
            args["buf"] = d.weighted(((256, 6), (1024, 1), (257, 0.5),
                                      (255, 0.5), (64, 1), (8, 0.5), (0, 0.3)))
            if d.chance(0.06):
                args["bptr"] = d.pick(("bad", "ro", "kernel", "null", "odd"))
        return args

    def move_call(self):
        return self.one("call", own=0.2, recv=self.release_too(
            self.recv_args(), None))

    def move_call_request(self):
        return self.one("call", own=0.2, recv=self.recv_args(), request=True)

    def multicast_dests(self, peer, flags):
        d = self.dice
        dests, targets = [], []
        for _ in range(d.between(2, 5)):
            text, node = self.destination(peer, 0.05, 0.15)
            again = text in dests or node in targets
            if again and d.chance(0.6 if flags else 0.95):
                continue
            if flags and d.chance(0.1):
                text, node = "0x%x" % d.pick((0x999, 0x7f3, 0x2000)), None
            dests.append(text)
            targets.append(node)
        return dests, targets

    def move_multicast(self):
        d = self.dice
        peer = self.peer_with(lambda p: len(p.handles) > 1 or
                              (p.handles and p.nodes))
        if not peer:
            return False
        flags = d.weighted(((0, 5), (CONTINUE, 4)))
        dests, targets = self.multicast_dests(peer, flags)
        args, cargo = self.message(peer, dests, flags, targets, d.chance(0.3))
        args["errors"] = d.weighted(((1, 9), (0, 1)))
        # A reply handle goes to one destination alone.
        if self.put("send", peer, args) and not cargo[1]:
            self.sent(peer, targets, cargo)
        return True

    def move_seed(self):
        peer = self.any_peer()
        args, (nodes, moved) = self.message(peer, [], SEED, [Node(peer, 0)],
                                            self.dice.chance(0.1))
        if self.put("send", peer, args) and not moved:
            self.create(nodes)
            peer.seed = nodes
        return True

    def answer(self, op, recv=None):
        peer = self.peer_with(lambda p: p.replies)
        if not peer:
            return False
        index = self.dice.below(len(peer.replies) or 1)
        request = peer.replies[index] if peer.replies else None
        args, cargo = self.message(peer, [self.ref("r", index)], 0, [request],
                                   index > 1 and self.dice.chance(0.1))
        if self.dice.chance(0.75) and request:
            # Most budgets are small.
            args["vecs"], args["nv"] = str(self.dice.pick(SMALL)), 1
        # A reply does not carry reply handles.
        if self.put(op, peer, args, recv) and request and not cargo[1]:
            peer.replies.remove(request)
            if request.alive and not request.owner.down:
                request.owner.queue.append((cargo[0], None, request))
            if recv is not None:
                self.received(peer, 0)
        return True

    def move_reply(self):
        return self.answer("send")

    def move_call_reply(self):
        return self.answer("call", self.release_too(self.recv_args(), None))

    def received(self, peer, index):
        """What the peer has once the entry at @index was received."""
        if index >= len(peer.queue):
            return
        nodes, request, answered = peer.queue.pop(index)
        for node in nodes:
            if node and node.request:
                peer.replies.append(node)
            else:
                self.show(peer, node)
        if request:
            peer.replies.append(request)
        if answered:
            peer.requests.pop(answered.number, None)
        peer.slices += 1

    def release_too(self, args, peer):
        d = self.dice
        if d.chance(0.15):
            args["flags"] |= R_RELEASE
            args["release"] = d.weighted(((self.ref("s", 0), 8),
                                          (self.ref("s", 1), 4),
                                          ("0x%x" % (2**64 - 1), 2),
                                          ("0x8", 1)))
            if peer:
                peer.slices = max(0, peer.slices - 1)
        return args

    def receive(self, peer, args):
        flags = args.pop("flags")
        out = {"fd": peer.name}
        out.update(args)
        out["flags"] = "0x%x" % flags
        return self.add("recv", out)

    def move_recv(self):
        peer = self.peer_with(lambda p: p.queue)
        if not peer:
            return False
        if self.receive(peer, self.release_too(self.recv_args(), peer)):
            self.received(peer, 0)
        return True

    def move_recv_small(self):
        peer = self.peer_with(lambda p: p.queue)
        if not peer:
            return False
        args = self.recv_args()
        args["max_offset"] = "0x%x" % self.dice.pick((0, 1, 8, 32, 64, 4096))
        self.receive(peer, args)
        return True

    def move_recv_seed(self):
        peer = self.peer_with(lambda p: p.seed is not None)
        if not peer:
            return False
        args = self.recv_args(R_SEED | self.dice.pick((0, R_INSTALL)))
        if self.receive(peer, args) and peer.seed is not None:
            peer.slices += 1
            for node in peer.seed:
                self.show(peer, node)
        return True

    def move_recv_reply(self):
        peer = self.peer_with(lambda p: any(e[2] for e in p.queue))
        if not peer or self.dice.chance(0.2):
            peer = self.peer_with(lambda p: p.requests)
        if not peer:
            return False
        there = [(i, e[2]) for i, e in enumerate(peer.queue) if e[2]]
        args = self.recv_args()
        args["flags"] |= R_REPLY
        if there and self.dice.chance(0.9):
            index, node = self.dice.pick(there)
            number = node.number
        else:
            index = None
            number = self.dice.pick(list(peer.requests) or self.reply_ids)
        args["req"] = "0x%x" % number
        if number in peer.requests and self.dice.chance(0.9):
            args["req"] = self.ref("q", list(peer.requests).index(number))
        if self.receive(peer, args) and index is not None:
            self.received(peer, index)
        return True
