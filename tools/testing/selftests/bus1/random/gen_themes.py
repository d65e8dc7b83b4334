# SPDX-License-Identifier: GPL-2.0
"""What a random sequence is about.

Each sequence has one theme. A theme multiplies the weights of the moves, and
says how many peers and IDs there are, how often a call gets a bad argument, and
how often a peer gets tiny limits. Some moves are rare in one theme and dominant
in another, so that no combination drowns in the mixture.
"""

# How often each move is made when a theme says nothing about it.
WEIGHTS = {
    "connect": 8,           # transfer own nodes to another peer
    "transfer": 4,          # transfer what was received
    "send": 14,             # one destination
    "send_own": 4,          # to a node of one's own
    "send_new": 3,          # to a node that the send creates
    "multicast": 6,
    "seed": 2,
    "request": 6,
    "reply": 6,
    "call": 3,              # a plain message and the next entry
    "call_request": 3,
    "call_reply": 3,        # the server's: reply, and receive
    "recv": 26,
    "recv_reply": 7,
    "recv_seed": 2,
    "recv_small": 2,        # max_offset too small
    "slices": 7,
    "release": 6,
    "release_own": 2,
    "give_up": 2,           # release a reply handle
    "destroy": 5,
    "cancel": 2,
    "check": 3,
    "query": 5,
    "poll": 3,
    "reset": 2,
    "disconnect": 0.4,
    "close": 0.7,
    "open": 6,              # counts only while there is a free slot
    "euid": 1,
}

# peers, ids: (least, most); bad: probability that a call has a bad argument;
# tiny: that a new peer has tiny limits; handles, fds: that a message has some.
DEFAULTS = {
    "share": 3, "peers": (2, 4), "ids": (3, 6), "bad": 0.04, "tiny": 0.15,
    "handles": 0.35, "fds": 0.12, "new": 0.3, "big": 0.06, "replies": 0.1,
    "users": 0.3,
}

THEMES = {
    "everything": {"share": 5, "peers": (2, 5)},
    "replies": {
        "share": 5, "peers": (2, 3), "tiny": 0.1, "replies": 0.3,
        "request": 4, "reply": 3, "call_request": 4, "call_reply": 4,
        "recv_reply": 3, "give_up": 3, "cancel": 5, "send": 0.3,
        "multicast": 0.2, "transfer": 2,
    },
    "moves": {
        # Reply handles travel; what carries them is cancelled, dropped, reset.
        "share": 4, "peers": (3, 4), "replies": 0.7, "handles": 0.7,
        "request": 5, "cancel": 5, "transfer": 5, "reply": 1.5, "seed": 0.3,
        "reset": 2, "give_up": 2, "destroy": 0.5,
    },
    "seeds": {
        "peers": (2, 3), "seed": 14, "recv_seed": 16, "reset": 4,
        "handles": 0.7, "fds": 0.35, "tiny": 0.3, "request": 0.3,
    },
    "destruction": {
        "share": 5, "peers": (2, 4), "handles": 0.65, "destroy": 4,
        "release": 2.5, "release_own": 3, "send": 1.5, "multicast": 1.5,
        "recv": 0.5, "request": 0.3, "ids": (3, 4), "send_own": 3,
        "send_new": 2, "close": 4, "disconnect": 3, "reset": 3,
    },
    "quotas": {
        "share": 5, "peers": (3, 5), "tiny": 0.9, "users": 0.9, "fds": 0.35,
        "handles": 0.4, "euid": 6, "recv": 0.5, "slices": 0.6, "query": 2,
        "send": 2.5, "multicast": 2, "big": 0.02, "reset": 1, "send_own": 0.5,
        "destroy": 0.3, "release": 0.5, "close": 0.5,
    },
    "order": {
        "peers": (3, 5), "multicast": 6, "destroy": 2, "recv": 1.5,
        "send": 1.2, "bad": 0.02, "tiny": 0.1,
    },
    "arguments": {
        "share": 5, "bad": 0.5, "peers": (2, 3), "query": 2, "reset": 3,
        "disconnect": 2, "transfer": 2, "release": 1.5, "fds": 0.3,
        "call": 2, "recv_seed": 2, "send": 0.7,
    },
    "lifecycle": {
        "share": 4, "peers": (2, 5), "close": 8, "disconnect": 8, "open": 3,
        "reset": 6, "connect": 2, "euid": 4, "users": 0.6,
    },
    "pools": {
        # Slices that stay, in every size.
        "peers": (2, 2), "slices": 0.7, "big": 0.5, "check": 4,
        "recv_small": 5, "send": 2, "handles": 0.2, "request": 0.4,
        "destroy": 0.4,
    },
    "single": {
        # One peer that talks to itself.
        "share": 2, "peers": (1, 1), "send_own": 8, "send_new": 4,
        "connect": 0.4, "handles": 0.6, "request": 2, "ids": (2, 4),
        "recv": 0.5, "close": 4, "disconnect": 3, "reset": 3,
    },
    # A node whose handle is released while a message in its owner's own queue
    # carries it, and then everything goes at once.
    "carried": {"share": 0.5, "peers": (1, 1), "bad": 0},
}
