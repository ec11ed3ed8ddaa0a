"""Frames of the steadfast protocol in JSON, as either side receives them, and a client's errors.

What a frame means is in steadfast_client.py and subscription.py. The numbers in comments are the
clauses of PROTOCOL.md.
"""

import json, re
from json.decoder import scanstring
from json.scanner import py_make_scanner

SUBPROTOCOL = "steadfast.v1.json"
ACK, COMMAND, COMMAND_DEADLINE, RESULT, FAILED, EVENT, VOLATILE, TOPIC_VOLATILE = range(8)
POSITION, REFUSED, SNAPSHOT, SKIP, PING, PONG, DIRECT = range(8, 15)
HELLO, WELCOME, RESUME_FAILED, SUBSCRIBE = range(20, 24)
SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, GOAWAY, LEASE = range(24, 29)
CANCEL = 129
RETRY = ("draining", "overload", "rate_limited")  # 5.10: every other refusal is terminal
SPACE = " \t\r\n"
HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair
NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")  # 3.4


class Refused(Exception):
    """The command was not executed: code."""


class Cancelled(Refused):
    """The command was not executed: it was cancelled before it was sent, or before it was sent
    again after a refusal."""


class Failed(Exception):
    """The command failed: code, name, body."""


class IdReused(Failed):
    """The command was not executed: another one, with another body, has its id (5.21)."""


class Unknown(Exception):
    """It is not known whether the command was executed."""


class Stopped(Exception):
    """The client gave up: close code, reason."""


class Broken(Exception):
    """The other side broke a rule: close code, reason."""


class Text(str):
    """A string that was read. `plain`: it was written without escapes (3.4)."""

    plain = True


class Pairs(list):
    """The members of an object, as often as they occur."""


def is_name(text):
    return NAME.fullmatch(text) is not None


# How an element of a frame, or a member of its object, must be. A dict: an object with members.
FITS = {
    "number": lambda v: type(v) is int and 0 <= v < 2**53,  # 1.6
    "count": lambda v: type(v) is int and 1 <= v < 2**53,
    "dup": lambda v: type(v) is int and v in (0, 1),
    "bool": lambda v: type(v) is bool,
    "string": lambda v: isinstance(v, str) and not HALF.search(v),  # 3.3
    "name": lambda v: isinstance(v, str) and is_name(v) and v.plain,  # 3.4
    "name or none": lambda v: v == "" or FITS["name"](v),  # 5.7
    "new or ok": lambda v: v in ("new", "ok"),  # 4.1
    "id": lambda v: isinstance(v, str) and re.fullmatch("[0-9a-f]{32}", v),  # 1.5
    "epoch": lambda v: isinstance(v, str) and re.fullmatch("[0-9a-f]{16}", v),
}
TOLD_LEASE = {"id": "string", "state": "new or ok", "span": "number", "ttl_ms": "number"}
WINDOW = {"frames": "number", "bytes": "number"}
CREDIT = {"events": "number", "bytes": "number"}

# The layouts of section 3, without the kind. "?" marks what may be absent or null.
BOTH = {PING: {"k": "number"}, PONG: {"k": "number"}}
FROM_SERVER = {
    **BOTH,
    ACK: {"ack": "number"},
    RESULT: {"seq": "number", "ack": "number", "n": "number", "dup": "dup", "body": "body"},
    FAILED: {
        "seq": "number",
        "ack": "number",
        "n": "number",
        "dup": "dup",
        "code": "string",
        "name": "name or none",
        "body": "body",
    },
    EVENT: {"topic": "number", "ts": "number", "name": "name", "body": "body"},
    TOPIC_VOLATILE: {"topic": "number", "name": "name", "body": "body"},
    REFUSED: {
        "seq": "number",
        "ack": "number",
        "n": "number",
        "code": "string",
        "retry_ms": "number",
    },
    SNAPSHOT: {"topic": "number", "ts": "number", "name": "name", "body": "body"},
    SKIP: {"topic": "number", "ts": "number"},
    DIRECT: {"seq": "number", "ack": "number", "name": "name", "body": "body"},
    WELCOME: {
        "object": {
            "session": "string",  # 1.5: opaque to a client, as all ids are
            "token": "string",
            "gen": "number",
            "resumed": "bool",
            "recv": "number",
            "ttl_ms": "number",
            "frame_bytes": "number",
            "window": WINDOW,
            "lease?": TOLD_LEASE,
            "heartbeat": {"interval_ms": "number", "timeout_ms": "number", "missed": "number"},
            "version?": "string",
            "fingerprint?": "name",  # 4.18
            "verdict?": "string",  # 4.19
        }
    },
    RESUME_FAILED: {"object": {"reason": "string"}},
    SUBSCRIBED: {
        "object": {
            "sub": "number",
            "number": "number",
            "epoch": "string",
            "ts": "number",
            "head": "number",
            "snapshot": "bool",
            "reset?": "string",
            "credit?": CREDIT,
        }
    },
    UNSUBSCRIBED: {"object": {"sub": "number", "code": "string", "retry_ms?": "number"}},
    GOAWAY: {"object": {"after_ms": "number", "deadline_ms": "number"}},
    LEASE: {"object": TOLD_LEASE},
}
FROM_CLIENT = {
    **BOTH,
    ACK: {"ack": "number", "low": "count"},
    COMMAND: {
        "seq": "count",
        "ack": "number",
        "n": "count",
        "back": "number",
        "name": "name",
        "body": "body",
    },
    COMMAND_DEADLINE: {
        "seq": "count",
        "ack": "number",
        "n": "count",
        "back": "number",
        "deadline_ms": "number",
        "name": "name",
        "body": "body",
    },
    VOLATILE: {"name": "name", "body": "body"},
    POSITION: {"topic": "number", "ts": "number", "bytes": "number"},
    CANCEL: {"n": "number"},
    HELLO: {
        "object": {
            "v": "number",
            "protocol": "string",
            "version": "string",
            "fingerprint?": "name",  # 4.18
            "token?": "string",
            "instance": "id",
            "dial": "number",
            "window": WINDOW,
            "message_bytes?": "number",
            "resume?": {"session": "id", "token": "id", "recv": "number"},
            "lease?": {"id": "id", "low": "number", "next": "number"},
            "lease_later?": "bool",
        }
    },
    SUBSCRIBE: {
        "object": {
            "sub": "number",
            "topic": "name",
            "key": "string",
            "from?": {"epoch": "epoch", "ts": "number"},
            "last?": "number",  # 7.25
            "credit": CREDIT,
        }
    },
    UNSUBSCRIBE: {"object": {"sub": "number"}},
    LEASE: {"object": {}},
}
KINDS = {*FROM_SERVER, *FROM_CLIENT}


def _string(text, begin, strict=True):
    value, end = scanstring(text, begin, strict)
    value = Text(value)
    value.plain = text[begin : end - 1] == value
    return value, end


def _integer(digits):
    if not digits.isascii():
        raise ValueError("digits that JSON does not have")
    return int(digits) if len(digits) < 20 else float("inf")  # no number of ours; may be ignored


def _no_json(constant):
    raise ValueError(f"{constant} is no JSON")


class Decoder(json.JSONDecoder):
    """Reads what is not a body: shows how strings were written, and which members occur twice."""

    def __init__(self):
        super().__init__(object_pairs_hook=Pairs, parse_int=_integer, parse_constant=_no_json)
        self.parse_string = _string
        self.scan_once = py_make_scanner(self)


DECODER = Decoder()


def read(body, kind=dict):
    """What the text of a body says and True, or else the text itself and False (3.5)."""
    try:
        value = json.loads(body, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return body, False
    return (value, True) if isinstance(value, kind) else (body, False)


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


def fitting(what, layout, pairs):
    """An object's known members: each fits, and none occurs twice (3.3)."""
    if not isinstance(pairs, Pairs):
        raise Broken(4400, f"{what} is no object")
    known, found = {name.rstrip("?") for name in layout}, {}
    for name, value in pairs:
        if name in found:
            raise Broken(4400, f"{what}: {name} occurs twice")
        if name in known:
            found[name] = value
    for name, fit in layout.items():
        member = name.rstrip("?")
        value = found.get(member)
        if value is None and name != member:
            found.pop(member, None)
        elif isinstance(fit, dict):
            found[member] = fitting(f"{what}.{member}", fit, value)
        elif not FITS[fit](value):
            raise Broken(4400, f"{what}: {member} is no {fit}")
    return found


class Reader:
    def __init__(self, text):
        self.text, self.pos = text, 0

    def space(self):
        while self.pos < len(self.text) and self.text[self.pos] in SPACE:
            self.pos += 1

    def token(self, expected):
        self.space()
        if self.text[self.pos : self.pos + 1] != expected:
            raise Broken(4400, "malformed frame")
        self.pos += 1

    def value(self):
        self.space()
        try:
            value, self.pos = DECODER.raw_decode(self.text, self.pos)
        except (ValueError, RecursionError):
            raise Broken(4400, "malformed frame") from None
        return value

    def body(self):
        """All up to the bracket that closes the frame (3.2)."""
        rest = self.text[self.pos :].rstrip(SPACE)
        if not rest.endswith("]") or not rest[:-1].strip(SPACE):
            raise Broken(4400, "frame cut short")
        return rest[:-1]

    def ignored(self):
        """Whether the rest of a frame that is to be ignored closes it (3.6)."""
        self.space()
        if self.text[self.pos : self.pos + 1] == ",":
            self.pos += 1
            return bool(self.body()) and closes(self.text)
        return not self.end()

    def end(self):
        self.token("]")
        self.space()
        if self.pos != len(self.text):
            raise Broken(4400, "something behind the frame")


def parse(text, layouts=FROM_SERVER):
    """A frame as [kind, …], or None if it is to be ignored. A body stays text (3.2), so that a bad
    one concerns its message alone (3.5)."""
    reader = Reader(text)
    reader.token("[")
    kind = reader.value()
    kind = kind if type(kind) is int else None
    if kind is not None and 128 <= kind <= 255 and kind not in KINDS:
        if not reader.ignored():
            raise Broken(4400, "malformed frame")
        return None  # 3.6
    if kind not in layouts:
        raise Broken(4400, f"unknown kind, or one of the other direction: {kind}")
    frame = [kind]
    for name, fit in layouts[kind].items():
        reader.token(",")
        if fit == "body":
            frame.append(reader.body())
            break
        value = reader.value()
        if isinstance(fit, dict):
            value = fitting(f"frame {kind}", fit, value)
        elif not FITS[fit](value):
            raise Broken(4400, f"frame {kind}: {name} is no {fit}")
        frame.append(value)
    else:
        reader.end()
    if kind in (COMMAND, COMMAND_DEADLINE) and frame[4] >= frame[3]:
        raise Broken(4400, "low is below 1")  # 3.7
    return frame
