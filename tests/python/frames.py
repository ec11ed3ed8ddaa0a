"""Frames of the steadfast protocol, as a client receives them, and the errors of a client.

What a frame means is in steadfast_client.py and subscription.py.
"""

import json, re

SUBPROTOCOL = "steadfast.v1.json"
ACK, COMMAND, COMMAND_DEADLINE, RESULT, FAILED, EVENT, VOLATILE, TOPIC_VOLATILE = range(8)
POSITION, REFUSED, SNAPSHOT, SKIP, PING, PONG = range(8, 14)
HELLO, WELCOME, RESUME_FAILED, SUBSCRIBE = range(20, 24)
SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, GOAWAY, LEASE = range(24, 29)
# What a client may receive, after the kind. n: sequence, d: dup, s: string,
# o: object, *: body (always last).
ROWS = {
    ACK: "n",
    RESULT: "nnnd*",
    FAILED: "nnndss*",
    EVENT: "nns*",
    TOPIC_VOLATILE: "ns*",
    REFUSED: "nnnsn",
    SNAPSHOT: "nns*",
    SKIP: "nn",
    PING: "n",
    PONG: "n",
    WELCOME: "o",
    RESUME_FAILED: "o",
    SUBSCRIBED: "o",
    UNSUBSCRIBED: "o",
    GOAWAY: "o",
    LEASE: "o",
}
FITS = {
    "n": lambda v: type(v) is int and 0 <= v < 2**53,
    "d": lambda v: type(v) is int and v in (0, 1),
    "s": lambda v: isinstance(v, str),
    "o": lambda v: isinstance(v, dict),
}
LEASE_MEMBERS = {"id": "s", "state": "s", "span": "n", "ttl_ms": "n"}
RETRY = ("draining", "overload", "rate_limited")  # 5.10: every other refusal is terminal
SPACE = " \t\r\n"
HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair


class Refused(Exception):
    """The command was not executed: code."""


class Failed(Exception):
    """The command failed: code, name, body."""


class IdReused(Failed):
    """The command was not executed: another one, with another body, has its id (5.21)."""


class Unknown(Exception):
    """It is not known whether the command was executed."""


class Stopped(Exception):
    """The client gave up: close code, reason."""


class Broken(Exception):
    """The server broke a rule: close code, reason."""


# Members of the objects that a client reads: none may occur twice (3.3).
KNOWN = set(
    "session token gen resumed recv ttl_ms frame_bytes window frames bytes lease id state span "
    "heartbeat interval_ms timeout_ms missed reason sub number epoch ts head snapshot reset "
    "credit events code retry_ms after_ms deadline_ms".split()
)


def members(pairs):
    names = [name for name, _ in pairs if name in KNOWN]
    if len(names) != len(set(names)):
        raise Broken(4400, "a member occurs twice")
    return dict(pairs)


def check_lease(lease):
    """LEASE, and WELCOME's lease: none of its members is marked `?` (3.3)."""
    for name, kind in LEASE_MEMBERS.items():
        if not FITS[kind](lease.get(name)):
            raise Broken(4400, f"a lease without a fitting {name}")


DECODER = json.JSONDecoder(object_pairs_hook=members)


def closes(text):
    """Whether the brackets of a frame that is to be ignored close (3.6)."""
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.S).strip(SPACE)
    opened = []
    for at, c in enumerate(rest):
        if c == '"' or at and not opened:
            return False
        if c in "[{":
            opened.append("]" if c == "[" else "}")
        elif c in "]}" and opened.pop() != c:
            return False
    return not opened


def parse(text):
    """A frame as [kind, …], or None if it is to be ignored. A body stays text (3.2), so that a bad
    one concerns its message alone (3.5)."""
    frame, pos, row = [], 0, "?"

    def token(expected):
        nonlocal pos
        while pos < len(text) and text[pos] in SPACE:
            pos += 1
        if pos >= len(text) or text[pos] not in expected:
            raise Broken(4400, "malformed frame")
        pos += 1
        return text[pos - 1]

    token("[")
    while len(frame) <= len(row) - (row[-1] == "*"):
        while pos < len(text) and text[pos] in SPACE:
            pos += 1
        try:
            value, pos = DECODER.raw_decode(text, pos)
        except ValueError:
            raise Broken(4400, "malformed frame")
        if not frame:
            if type(value) is int and 128 <= value <= 255:
                if not closes(text):
                    raise Broken(4400, "frame cut short")
                return None  # 3.6
            row = ROWS.get(value if type(value) is int else None)
            if row is None:
                raise Broken(4400, f"unknown kind {value!r}")
        elif not FITS[row[len(frame) - 1]](value):
            raise Broken(4400, f"frame {frame[0]} does not fit its row")
        if isinstance(value, dict) and HALF.search(json.dumps(value, ensure_ascii=False)):
            raise Broken(4400, "half of a surrogate pair")  # 3.3
        frame.append(value)
        if len(frame) <= len(row):
            token(",")
    if row[-1] != "*":
        token("]")
        if text[pos:].strip(SPACE):
            raise Broken(4400, "malformed frame")
        return frame
    body = text[pos:].rstrip(SPACE)
    if not body.endswith("]"):
        raise Broken(4400, "frame cut short")
    return frame + [body[:-1]]
