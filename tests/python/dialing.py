"""When a socket has ended: whether the client dials again, when, and with which session (8.1).

The numbers in comments are the clauses of PROTOCOL.md.
"""

import random, time
from websockets.asyncio.client import connect
from attachment import Socket
from frames import SUBPROTOCOL, Stopped

LIVED = 5.0  # seconds after WELCOME: then "in a row" and "k-th" begin anew (8.1b)
KINDS = {1009: "too long", 4009: "too long", 4410: "wrong"}  # bounded; credentials are the third
BOUND = 3
READS = 2  # times `message_bytes`: up to this a message is read to see whose it is (2.7)
LONGEST_AFTER = 300.0  # seconds: more of a Retry-After is not waited (2.1)
AT_ONCE = (4001, 4002, 4003, 4410)  # no backoff, as with credentials


class Connect(connect):
    def process_redirect(self, exc):
        return exc  # 2.1: a redirect is a status like any other, and not followed


def open_socket(url, message_bytes):
    return Connect(
        url,
        subprotocols=[SUBPROTOCOL],
        ping_interval=None,
        compression=None,
        max_size=READS * message_bytes,
        create_connection=Socket,
        open_timeout=10,
        close_timeout=1,
    )


class Dialing:
    """The ends of sockets in a row. `longest`: the longest delay before a dial, in seconds."""

    def __init__(self, longest):
        self.longest = longest
        self.connected = False  # there was a WELCOME, ever
        # Of this socket: when WELCOME came, and the delay that was told instead of a random one.
        self.welcomed = self.after = None
        self._begin_anew()

    def _begin_anew(self):
        self.tries, self.rows = 0, dict.fromkeys(("too long", "wrong", "credentials"), 0)

    def dials(self):
        self.welcomed = self.after = None

    def welcome(self):
        self.connected, self.welcomed = True, time.monotonic()
        self.rows["credentials"] = 0  # 8.1b: they count as good with WELCOME

    def refused_upgrade(self, status, retry_after=""):
        """2.1: the close code that an upgrade's status is like; 4400 stops the client."""
        if status == 401:
            return 4201
        if status == 403:
            return 4403
        if status in (408, 425, 429) or status >= 500 or self.connected:
            if retry_after.isascii() and retry_after.isdigit():
                self.after = min(int(retry_after), LONGEST_AFTER)
            return 1006
        return 4400

    def ended(self, code, reason):
        """By the table of 8.1: whether the session ended as well. Stopped if the client stops."""
        if self.welcomed is not None and time.monotonic() - self.welcomed >= LIVED:
            self._begin_anew()
        # Of credentials the client asks for new ones at each dial.
        kind = "credentials" if 4200 <= code <= 4299 else KINDS.get(code)
        if kind:
            self.rows[kind] += 1
        stops = 4300 <= code <= 4499 and code not in (4408, 4410)
        if stops or kind and self.rows[kind] >= BOUND:
            raise Stopped(code, reason)
        self.tries += 1
        return 4100 <= code <= 4199 or code == 4410

    def pause(self, code):
        """Seconds before the next dial (8.1a, 8.2, 2.1)."""
        if self.after is not None:
            return self.after
        at_once = code in AT_ONCE or 4200 <= code <= 4299
        longest = 1 if at_once else min(30, 2 ** min(self.tries - 1, 5))
        return random.uniform(0, min(self.longest, longest))
