# SPDX-License-Identifier: GPL-2.0
"""What a bus is made of, and the rules that hold whatever call is made.

Written from the text of the contract (section numbers are those of its pages),
never from the code. Everything here is the effect of calls that succeed; what a
call checks before is in calls.py and sending.py.
"""

import zlib

MANAGED, REMOTE, NEW, REPLY_HANDLE = 1, 2, 4, 8
INVALID = (1 << 64) - 1
INT_MAX = (1 << 31) - 1
HANDLE_MAX = 1024
FD_MAX = 253
VEC_MAX = 1024
DEST_MAX = 1024

NONE, DATA, NODE_DESTROY, NODE_RELEASE, REPLY_DROPPED = range(5)
KINDS = ('NONE', 'DATA', 'NODE_DESTROY', 'NODE_RELEASE', 'REPLY_DROPPED')
F_MORE, F_OVERTOOK, F_INLINE = 1, 2, 4

SLICES, HANDLES, BYTES, FDS = range(4)
# What all peers of a user may reserve, bytes in KiB; a peer gets a 512th of it.
USER_ROOM = (8388608, 33554432, 8388608, 524288)
DEFAULT_LIMITS = (16384, 65536, 16 << 20, 1024)

# How the entries that one call makes stand to each other in a queue: in array
# order, or in any
ARRAY, LOOSE = range(2)

# Who a charge is counted for: a claimant's uid, or the peer itself
OWN = None

PENDING, REPLIED, DROPPED, CANCELLED = range(4)


class Mismatch(Exception):
    """A result that the contract does not allow."""

    def __init__(self, expected, found):
        super().__init__(expected, found)
        self.expected, self.found = expected, found
        self.others = []        # states that the result does fit


_WAVE = bytes((i * 7 + (i >> 8)) & 255 for i in range(65536))
_crcs = {}


def payload_crc(label, length):
    """The crc32 of what the step with this label sends."""
    first = label * 131 & 255
    crc = _crcs.get((first, length))
    if crc is None:
        data = (_WAVE * (length // 65536 + 1))[:length]
        shift = bytes((i + first) & 255 for i in range(256))
        crc = _crcs[first, length] = zlib.crc32(data.translate(shift))
    return crc


def slice_size(n_bytes, n_handles, n_fds):
    """Section 5: payload padded to 8, 8 per handle, 4 per descriptor."""
    return (n_bytes + 7 & ~7) + 8 * n_handles + 4 * n_fds


class Node:
    __slots__ = ('owner', 'id', 'died', 'refs', 'notice')

    def __init__(self, owner, ident):
        self.owner, self.id = owner, ident
        self.died = None        # place of the destruction
        self.refs = 0           # besides the owner's one
        self.notice = None      # the queued NODE_RELEASE


class Flushed:
    """In a message that a flush left: a node that went, and arrives INVALID."""
    __slots__ = ('node',)

    def __init__(self, node):
        self.node = node


class Handle:
    __slots__ = ('node', 'id', 'count', 'payer')

    def __init__(self, node, ident, payer):
        self.node, self.id, self.count, self.payer = node, ident, 0, payer


class Request:
    """A request and its reply handle, which is at one place at any time."""
    __slots__ = ('peer', 'id', 'state', 'max_bytes', 'max_handles', 'max_fds',
                 'holder', 'hid')

    def __init__(self, peer, ident, max_bytes, max_handles, max_fds):
        self.peer, self.id, self.state = peer, ident, PENDING
        self.max_bytes, self.max_handles = max_bytes, max_handles
        self.max_fds = max_fds
        self.holder = None      # the peer that has the handle, or it unread
        self.hid = None         # its ID there, once it was shown

    def budget(self):
        """What a reply of the maxima takes, without the request's handle."""
        return (1, self.max_handles,
                slice_size(self.max_bytes, self.max_handles, self.max_fds),
                self.max_fds)


class Message:
    __slots__ = ('label', 'n_bytes', 'slots', 'fds', 'ident', 'payer', 'place',
                 'node', 'request', 'answers', 'size', 'carried', 'offset')

    def __init__(self, label, n_bytes, slots, fds, ident, payer, place):
        self.label, self.n_bytes = label, n_bytes
        self.slots = slots  # Node, Request (a moved reply handle), Flushed, None
        self.fds, self.ident = fds, ident
        self.payer, self.place = payer, place
        self.node = self.request = self.answers = self.offset = None
        self.size = slice_size(n_bytes, len(slots), len(fds))
        # a reply handle charges nobody
        self.carried = sum(isinstance(s, Node) for s in slots)

    def cost(self):
        return (1, self.carried, self.size, len(self.fds))

    def carries(self, node):
        """In a way that it arrives: sent before the node's destruction."""
        return node in self.slots and not self.too_late(node)

    def too_late(self, node):
        """Section 1: INVALID iff the destruction has its place before."""
        return node.died is not None and node.died < self.place

    def nodes(self):
        """Those whose IDs it keeps: its destination, and what it carries."""
        found = [s.node for s in self.slots if isinstance(s, Flushed)]
        found += [s for s in self.slots
                  if isinstance(s, Node) and not self.too_late(s)]
        return found + [self.node] if self.node else found

    def replies(self):
        """The reply handles that are lost with this message."""
        lost = [s for s in self.slots if isinstance(s, Request)]
        return lost + [self.request] if self.request else lost


class Entry:
    __slots__ = ('uid', 'kind', 'place', 'order', 'what', 'lingers')

    def __init__(self, uid, kind, place, order, what):
        self.uid, self.kind, self.what = uid, kind, what
        self.place, self.order = place, order
        self.lingers = False    # only the seed carried what it is about


class Slice:
    __slots__ = ('size', 'payer', 'crc')

    def __init__(self, size, payer, crc):
        self.size, self.payer, self.crc = size, payer, crc


class Peer:
    __slots__ = ('slot', 'ident', 'nonblock', 'limits', 'used', 'claims',
                 'handles', 'ids', 'requests', 'replies', 'queue', 'slices',
                 'seed', 'down', 'shown', 'old', 'n_sent', 'n_received',
                 'number')

    def __init__(self, slot, ident, nonblock, limits):
        self.slot, self.ident, self.nonblock = slot, ident, nonblock
        self.limits, self.used = list(limits), [0, 0, 0, 0]
        self.claims = {}        # uid -> use of the four resources
        self.handles = {}       # Node -> Handle, count not 0
        self.ids = {}           # ID -> Handle
        self.requests = {}      # reply_id -> Request, until it is read
        self.replies = {}       # ID -> Request whose reply handle is here
        self.queue, self.slices, self.seed = [], {}, None
        self.down = False
        self.shown = set()      # IDs the kernel ever chose here
        self.old = set()        # IDs of own nodes that were destroyed
        self.n_sent = self.n_received = 0
        self.number = None

    # -- charges, section 5

    def reserved(self, limits=None):
        """Of each resource, in the unit that users are counted in."""
        most = list(map(max, limits or self.limits, self.used))
        most[BYTES] = -(-most[BYTES] // 1024)
        return most

    def charge(self, payer, cost, sign=1):
        used = self.used
        for r in range(4):
            used[r] += sign * cost[r]
        if payer is not OWN:
            claim = self.claims.setdefault(payer, [0, 0, 0, 0])
            for r in range(4):
                claim[r] += sign * cost[r]

    def uncharge(self, payer, cost):
        self.charge(payer, cost, -1)

    def own_refusals(self, cost):
        """Why a charge to the peer itself is refused, if it is."""
        full = any(cost[r] and self.used[r] + cost[r] > self.limits[r]
                   for r in range(4))
        return {'ENOBUFS'} if full else set()

    def share(self, user, cost):
        """Why a claimant's charge is refused, if it is."""
        refused = set()
        mine = self.claims.get(user, (0, 0, 0, 0))
        for r in range(4):
            c, limit, used = cost[r], self.limits[r], self.used[r]
            if not c:
                continue        # a charge of 0 always is accepted
            s = mine[r]
            others = sum(1 for uid, claim in self.claims.items()
                         if claim[r] and uid != user)
            n = others + 1      # this one counted
            if 2 * c > limit:
                refused.add('EMSGSIZE')
            elif (s + c) * (n + 1) > limit - used + s:
                # one that holds nothing makes one more
                empty = others + (1 if s else 0) + 1
                if c * (empty + 1) > limit - used:
                    refused.add('EXFULL')
                else:
                    refused.add('EDQUOT')
        for name in ('EMSGSIZE', 'EXFULL', 'EDQUOT'):
            if name in refused:
                return {name}
        return set()

    # -- the queue

    def deliverable(self, entry):
        """A destruction is skipped when the peer's count is 0 at the front."""
        if entry.kind != NODE_DESTROY:
            return True
        if isinstance(entry.what, Request):
            return entry.what.holder is self and entry.what.hid is not None
        return entry.what in self.handles

    def run(self, at=0):
        """The entries from there on whose order is free."""
        queue, first = self.queue, self.queue[at]
        if first.order == ARRAY:
            return [first]
        end = at + 1
        while end < len(queue) and queue[end].place == first.place:
            end += 1
        return queue[at:end]

    def front(self):
        """The entries that may come next."""
        while self.queue:
            run = self.run()
            found = [e for e in run if self.deliverable(e)]
            if found:
                return found
            del self.queue[:len(run)]
        return []

    def next_place(self, skip=None):
        """The event of the next entry that would be delivered."""
        for e in self.queue:
            if e is not skip and self.deliverable(e):
                return e.place
        return None

    def n_queued(self):
        """How many query may say: skipped ones count behind something, those
        for what the seed carried at least until that is gone."""
        if not self.front():
            return 0, 0
        run = self.run()
        loose = sum(not self.deliverable(e) and
                    (e in run or e.lingers and not self.brings(e.what))
                    for e in self.queue)
        return len(self.queue) - loose, len(self.queue)

    def brings(self, node):
        """Whether a message or the seed carries a handle, or reply handle."""
        if isinstance(node, Request):
            return any(node in m.replies() for m in self.carriers())
        return any(m.carries(node) for m in self.carriers())

    def carriers(self):
        """Unread messages, and the seed."""
        found = [e.what for e in self.queue if e.kind == DATA]
        return found + [self.seed] if self.seed else found

    def id_in_use(self, ident):
        """Section 7: what keeps an ID of the owner's from being used again."""
        if ident in self.ids or ident in self.requests:
            return True
        if ident not in self.old:
            return False
        return any(n.owner is self and n.id == ident
                   for m in self.carriers() for n in m.nodes())


class Bus:
    """All peers, and the effects of what succeeds."""

    def __init__(self):
        self.slots = {}         # name -> Peer
        self.place = 0          # of the event under way
        self.uid = 0

    def enqueue(self, peer, kind, order, what):
        self.uid += 1
        entry = Entry(self.uid, kind, self.place, order, what)
        peer.queue.append(entry)
        return entry

    # -- references

    def add_ref(self, node, n=1):
        """A new reference withdraws the release notice (section 1)."""
        node.refs += n
        if node.notice:
            node.owner.queue.remove(node.notice)
            node.notice = None

    def drop_ref(self, node, order, n=1):
        node.refs -= n
        if n and node.refs == 0 and node.died is None and not node.owner.down:
            node.notice = self.enqueue(node.owner, NODE_RELEASE, order, node)

    def create(self, node):
        """The owner's handle: charged to the peer itself."""
        peer = node.owner
        handle = Handle(node, node.id, OWN)
        handle.count = 1
        peer.handles[node] = peer.ids[node.id] = handle
        peer.charge(OWN, (0, 1, 0, 0))

    def fresh_id(self, peer, ident, flags, what):
        """An ID that the kernel chose: MANAGED, never used in this peer."""
        bits = MANAGED | flags
        if ident & 15 != bits or ident in peer.shown:
            raise Mismatch('%s: a fresh ID with the low bits %d' % (what, bits),
                           hex(ident))
        peer.shown.add(ident)

    def show(self, peer, node, ident, payer, what):
        """One more count; True when the handle is new to the peer."""
        handle = peer.handles.get(node)
        if handle:
            if ident != handle.id:
                raise Mismatch('%s: %#x, the ID it has' % (what, handle.id),
                               hex(ident))
            handle.count += 1
            return False
        if node.owner is peer:
            if ident != node.id:
                raise Mismatch("%s: the owner's ID %#x" % (what, node.id),
                               hex(ident))
        else:
            self.fresh_id(peer, ident, REMOTE, what)
        handle = Handle(node, ident, payer)
        handle.count = 1
        peer.handles[node] = peer.ids[ident] = handle
        return True

    def show_reply(self, peer, req, ident, what):
        """A reply handle gets an ID; REMOTE but at the requester itself."""
        remote = REMOTE if req.peer is not peer else 0
        self.fresh_id(peer, ident, REPLY_HANDLE | remote, what)
        req.holder, req.hid = peer, ident
        peer.replies[ident] = req

    def forget(self, peer, handle):
        """The count is 0: the handle, its ID and its charge are gone."""
        node = handle.node
        del peer.handles[node]
        del peer.ids[handle.id]
        peer.uncharge(handle.payer, (0, 1, 0, 0))
        if node.died is not None:
            self.withdraw(peer, node)

    def withdraw(self, peer, node):
        """...and so is a queued destruction notice for it, unless a message
        in front of it, or the seed, carries the handle."""
        for e in peer.queue:
            if e.kind == DATA and e.what.carries(node):
                return
            if e.kind == NODE_DESTROY and e.what is node:
                e.lingers = peer.brings(node)
                if not e.lingers:
                    peer.queue.remove(e)
                return

    def release(self, peer, handle, n, order):
        handle.count -= n
        if handle.count == 0:
            self.forget(peer, handle)
        self.drop_ref(handle.node, order, n)

    # -- destruction

    def destroy(self, node, order, tell_owner):
        node.died = self.place
        owner = node.owner
        owner.old.add(node.id)
        if node.notice:
            owner.queue.remove(node.notice)     # replaced
            node.notice = None
        for peer in self.slots.values():
            if peer.down or (peer is owner and not tell_owner):
                continue
            if node in peer.handles or peer.brings(node):
                entry = self.enqueue(peer, NODE_DESTROY, order, node)
                entry.lingers = node not in peer.handles

    # -- requests, section 3, Replies

    def cancel(self, req, order, tell=True):
        """All but the request's one handle is free at once."""
        req.state = CANCELLED
        del req.peer.requests[req.id]
        req.peer.uncharge(OWN, req.budget())
        if tell and not req.holder.down:
            self.enqueue(req.holder, NODE_DESTROY, order, req)

    def let_go(self, req, order):
        """The reply handle is gone, unused."""
        if req.hid is not None:
            del req.holder.replies[req.hid]
        holder, req.holder, req.hid = req.holder, None, None
        if req.state == CANCELLED:
            holder.queue[:] = [e for e in holder.queue if e.what is not req]
        if req.peer.down:
            return
        if req.state == PENDING:
            req.state = DROPPED
            req.peer.uncharge(OWN, req.budget())
            self.enqueue(req.peer, REPLY_DROPPED, order, req)
        elif req.state == CANCELLED:
            req.peer.uncharge(OWN, (0, 1, 0, 0))

    # -- a message's end

    def drop_message(self, peer, message, order):
        """Thrown away unread: its references and reply handles are lost."""
        peer.uncharge(message.payer, message.cost())
        for s in message.slots:
            if isinstance(s, Node):
                self.drop_ref(s, order)
        for req in message.replies():
            self.let_go(req, order)

    def drop_seed(self, peer, order):
        if peer.seed:
            seed, peer.seed = peer.seed, None
            self.drop_message(peer, seed, order)

    def drop_slice(self, peer, offset):
        gone = peer.slices.pop(offset)
        peer.uncharge(gone.payer, (1, 0, gone.size, 0))

    def flush(self, peer, keep_seed):
        """Section 3, bus1_peer_reset; keep_seed: what it pins stays."""
        pinned = set()
        if keep_seed and peer.seed:
            pinned = {s for s in peer.seed.slots if isinstance(s, Node) and
                      s.owner is peer and s.died is None}
        queue, peer.queue = peer.queue, []
        kept = [e for e in queue if e.kind == DATA and e.what.node in pinned]
        unread = {req for e in kept for req in e.what.replies()}
        for e in kept:
            e.what.slots = [self.unpin(s, peer, pinned) for s in e.what.slots]
        # a destruction stays as long as a message or the seed has the handle
        for e in queue:
            if e.kind == NODE_RELEASE:
                e.what.notice = None    # its node goes, too
            if e in kept or (e.kind == NODE_DESTROY and any(
                    m.place < e.place and (e.what in m.slots or
                                           e.what is m.request)
                    for m in (k.what for k in kept))):
                peer.queue.append(e)
            elif e.kind == NODE_DESTROY and keep_seed and peer.brings(e.what):
                e.lingers = True
                peer.queue.append(e)
        for node in [n for n in peer.handles
                     if n.owner is peer and n.died is None]:
            if node not in pinned:
                self.destroy(node, LOOSE, False)
        for req in [r for r in peer.requests.values() if r.state == PENDING]:
            self.cancel(req, LOOSE, req.holder is not peer or req in unread)
        for req in [r for r in peer.requests.values()]:
            del peer.requests[req.id]
            if req.state == DROPPED:
                peer.uncharge(OWN, (0, 1, 0, 0))
        for req in list(peer.replies.values()):
            self.let_go(req, LOOSE)
        for e in queue:
            if e.kind == DATA and e not in kept:
                self.drop_message(peer, e.what, LOOSE)
        for handle in list(peer.handles.values()):
            if handle.node in pinned:
                self.drop_ref(handle.node, LOOSE, handle.count - 1)
                handle.count = 1
            else:
                self.release(peer, handle, handle.count, LOOSE)
        for offset in list(peer.slices):
            self.drop_slice(peer, offset)

    def unpin(self, slot, peer, pinned):
        """Handles to flushed nodes become INVALID in messages that stay."""
        if (isinstance(slot, Node) and slot.owner is peer and
                slot not in pinned and slot.died is None):
            return Flushed(slot)
        return slot

    def shut_down(self, peer):
        """Disconnect and close: from the first moment nothing is accepted."""
        peer.down = True
        self.drop_seed(peer, LOOSE)
        self.flush(peer, False)
        peer.queue = []
