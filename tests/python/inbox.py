"""The inbox: direct messages that wait for the application (4.16, 4.17).

The numbers in comments are the clauses of PROTOCOL.md.
"""

import asyncio
from collections import deque, namedtuple
from frames import read

# What Inbox.get() returns. kind: "message", "bad" (a message whose body does not fit), "gap"
# (messages may be missing here; `name` says why: "full" or "session") or "ended".
Direct = namedtuple("Direct", "kind name body", defaults=("", None))


class Inbox:
    """`most`, `most_bytes`: how many messages wait at most, and bytes of their names and bodies. An
    empty inbox takes a message of any size; how long that can be is `message_bytes` (2.6)."""

    def __init__(self, most, most_bytes):
        self.most, self.most_bytes = most, most_bytes
        # Messages as they came, and gaps; never two gaps with nothing between.
        self.items, self.messages, self.bytes = deque(), 0, 0
        self.ready, self.ended = asyncio.Event(), False

    async def get(self):
        while not self.items:
            if self.ended:
                return Direct("ended")
            self.ready.clear()
            await self.ready.wait()
        kind, name, body = self.items.popleft()
        if kind == "gap":
            return Direct(kind, name)
        self.messages, self.bytes = self.messages - 1, self.bytes - size(name, body)
        body, fits = read(body)
        return Direct("message", name, body) if fits else Direct("bad", name)  # 3.5

    def put(self, name, body):
        """Take a message, or note that it is missing. It counts as accepted either way (4.17)."""
        more = size(name, body)
        if self.messages and (
            self.messages >= self.most or self.bytes + more > self.most_bytes
        ):
            return self.gap("full")
        self.messages, self.bytes = self.messages + 1, self.bytes + more
        self._add(("message", name, body))

    def gap(self, why):
        """Messages may be missing behind those that are here. The latest reason is told."""
        if self.items and self.items[-1][0] == "gap":
            self.items.pop()
        self._add(("gap", why, None))

    def stop(self):
        self.ended = True
        self.ready.set()

    def _add(self, item):
        self.items.append(item)
        self.ready.set()


def size(name, body):
    return len(name) + len(body.encode())
