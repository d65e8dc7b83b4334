# SPDX-License-Identifier: GPL-2.0
"""Arguments that a call should refuse, or ought to survive.

spoil() changes one argument of a call that was sound. A few of the changes are
harmless (a size that is larger with a zero tail, a read-only page that the
kernel only reads): that these succeed is part of the contract too.
"""

SIZES = {"open": 32, "reset": 32, "query": 112, "send": 104, "recv": 136,
         "call": 104}
FDS = ("bad", "null", "path", "eventfd", "memfd")
HUGE = (1025, 1025, 4096, 2**31, 2**32 - 1, 2**32, 2**61, 2**63, 2**64 - 1)
IDS = ("0xd", "0xe", "0xf", "0xffffffffffffffff", "0x9", "0xa", "0x1000",
       "0x800c", "0xfffffffffffffff8", "r0", "s0", "0x100", "0xc",
       "0x7fffffffffffff05")


def fd(dice, op, args, closed):
    key = dice.pick([k for k in ("fd", "src", "dst") if k in args])
    args[key] = dice.pick(FDS + (closed, closed))


def flag_bit(dice, op, args, closed):
    args["flags"] = "0x%x" % (int(args["flags"], 16) ^ 1 << dice.below(32))


def flag_known(dice, op, args, closed):
    """A bit that some call knows, rather than one of all of them."""
    bit = dice.below(6) + dice.pick((0, 16) if op == "call" else (0,))
    args["flags"] = "0x%x" % (int(args["flags"], 16) ^ 1 << bit)


def size(dice, op, args, closed):
    key, tail, ver0 = "size", "tail", SIZES[op]
    if op == "call" and dice.chance(0.5):
        key, tail, ver0 = "rsize", "rtail", SIZES["recv"]
    value = dice.pick((0, 1, 8, ver0 - 1, ver0 - 8, ver0 + 1, ver0 + 8,
                       ver0 + 8, 256, 4096, 4097, 8192, 65536, 2**31,
                       2**32 - 1, 2**64 - 1))
    args[key] = value
    if ver0 < value <= 8192 and dice.chance(0.5):
        args[tail] = 1


def pointer(dice, op, args, closed):
    keys = {"send": ("ptr", "dptr", "vptr", "hptr", "fptr"),
            "call": ("ptr", "rptr", "rptr", "dptr", "vptr", "hptr", "fptr"),
            "transfer": ("sptr", "dptr", "dptr")}.get(op, ("ptr",))
    key = dice.pick(keys)
    kinds = ["null", "bad", "kernel", "ro"]
    if key in ("ptr", "rptr") and op in SIZES:
        kinds.append("odd")
    args[key] = dice.pick(kinds)


def count(dice, op, args, closed):
    keys = [k for k in ("n", "nd", "nv", "nh", "nf") if k in args]
    key = dice.pick(keys)
    args[key] = dice.pick(HUGE + ((254, 254, 253) if key == "nf" else ()))
    if dice.chance(0.15):
        args[key] = 0
    elif key in ("nh", "nf") and dice.chance(0.8):
        bit = 8 if key == "nh" else 16
        args["flags"] = "0x%x" % (int(args["flags"], 16) | bit)


def one_id(dice, op, args, closed):
    keys = [k for k in ("ids", "dests", "handles")
            if args.get(k, "-") != "-"]
    if not keys:
        return flag_bit(dice, op, args, closed)
    key = dice.pick(keys)
    ids = args[key].split(",")
    ids[dice.below(len(ids))] = dice.pick(IDS)
    args[key] = ",".join(ids)


def twice(dice, op, args, closed):
    keys = [(k, n) for k, n in (("ids", "n"), ("dests", "nd"),
                                ("handles", "nh")) if args.get(k, "-") != "-"]
    if not keys:
        return flag_bit(dice, op, args, closed)
    key, n = dice.pick(keys)
    ids = args[key].split(",")
    ids.append(dice.pick(ids))
    args[key] = ",".join(ids)
    args[n] = len(ids)


def none(dice, op, args, closed):
    key = "ids" if "ids" in args else "dests"
    args[key] = "-"
    args["n" if key == "ids" else "nd"] = 0


def limit(dice, op, args, closed):
    values = ["keep"] * 4
    values[dice.below(4)] = str(dice.pick((2**31, 2**31 - 1, 2**32, 2**63,
                                           2**64 - 2)))
    args["limits"] = ",".join(values)


def no_limits(dice, op, args, closed):
    """NULL with a size, or a pointer without one."""
    args["limits"] = "none"
    if dice.chance(0.5):
        args["size"] = 32
    else:
        args["ptr"] = dice.pick(("bad", "kernel", "ro"))


def payload(dice, op, args, closed):
    if dice.chance(0.4) and args["vecs"] != "-":
        args["vbase"] = dice.pick(("bad", "null", "kernel"))
        return
    args["vecs"] = dice.pick((
        "9223372036854775808", "9223372036854775807", "8+18446744073709551615",
        "2147479552", "2147479553", "2147483647+2147483647", "4294967295",
        "1048576+1", "0+0+0"))
    args["nv"] = args["vecs"].count("+") + 1


def reply(dice, op, args, closed):
    key, value = dice.pick((
        ("reply_id", "0x101"), ("reply_id", "0x102"), ("reply_id", "0x10c"),
        ("reply_id", "0x8"), ("reply_id", "0x108"),
        ("reply_id", "0xffffffffffffffff"), ("reply_id", "0xfffffffffffffff8"),
        ("reply_bytes", 2**63), ("reply_bytes", 2**64 - 1),
        ("reply_bytes", 2**31), ("reply_bytes", 2**24 + 1),
        ("reply_bytes", 1), ("reply_handles", 1025), ("reply_handles", 1),
        ("reply_handles", 1024), ("reply_handles", 2**32),
        ("reply_fds", 254), ("reply_fds", 1), ("reply_fds", 253),
        ("reply_fds", 2**32)))
    args[key] = value
    if dice.chance(0.4):
        args["flags"] = "0x%x" % (int(args["flags"], 16) ^ 4)


def errors(dice, op, args, closed):
    args["errors"] = "bad"


def carried_fd(dice, op, args, closed):
    fds = [] if args["fds"] == "-" else args["fds"].split(",")
    fds.append(dice.pick(("p0", "p1", closed, "unix", "uring", "path", "bad")))
    args["fds"] = ",".join(fds)
    args["nf"] = len(fds)
    args["flags"] = "0x%x" % (int(args["flags"], 16) | 16)


def odd_recv(dice, op, args, closed):
    key, value = dice.pick((
        ("max_offset", "0x0"), ("max_offset", "0x8"), ("max_offset", "0x20"),
        ("max_offset", "0xffffffffffffffff"), ("req", "0x8"),
        ("req", "0xffffffffffffffff"), ("release", "0x8"),
        ("release", "0x7"), ("release", "0xffffffffffffffff"),
        ("release", "0xfffffffffffffff8")))
    args[key] = value
    bit = {"release": 8, "req": 32}.get(key, 0)
    if op == "call":
        bit <<= 16
    if dice.chance(0.8):
        args["flags"] = "0x%x" % (int(args["flags"], 16) | bit)


SEND = (one_id, one_id, one_id, twice, none, payload, payload, payload, reply,
        reply, reply, errors, carried_fd, carried_fd, count, count, pointer,
        pointer, size)
KINDS = {
    "open": (fd, flag_bit, size, size, pointer, limit, limit, no_limits),
    "reset": (fd, flag_bit, flag_known, size, size, pointer, limit, limit,
              no_limits),
    "disconnect": (fd, flag_bit),
    "query": (fd, flag_bit, size, size, pointer, pointer),
    "transfer": (fd, fd, flag_bit, pointer, pointer, count, count, one_id,
                 one_id, one_id, twice, none),
    "release": (fd, flag_bit, pointer, count, one_id, one_id, twice, none),
    "destroy": (fd, flag_bit, pointer, count, one_id, one_id, twice, none),
    "slices": (fd, flag_bit, pointer, count, one_id, one_id, twice, none),
    "send": (fd, flag_bit, flag_known, flag_known) + SEND,
    "recv": (fd, flag_bit, flag_known, size, size, pointer, pointer, odd_recv,
             odd_recv, odd_recv),
    "call": (fd, flag_bit, flag_known, flag_known, odd_recv, odd_recv) + SEND,
    "poll": (fd,),
    "close": (),
}


def spoil(dice, op, args, closed):
    """Changes @args, whose slot @closed is not open. False: nothing to do."""
    kinds = KINDS.get(op, ())
    if op == "open":
        kinds = kinds[1:]
    if not kinds:
        return False
    dice.pick(kinds)(dice, op, args, closed)
    return True
