"""What a client holds of one command, and of one socket.

What becomes of them is in steadfast_client.py. The numbers in comments are the clauses of PROTOCOL.md.
"""

import asyncio, json, time
from websockets.asyncio.client import ClientConnection


class Socket(ClientConnection):
    """Notes when a byte came last: each is a sign of life, whole message or not (9.1)."""

    heard = 0.0

    def data_received(self, data):
        self.heard = time.monotonic()
        super().data_received(data)


class Command:
    def __init__(self, name, body, deadline):
        self.name, self.body = name, json.dumps(body)  # 5.8: the same bytes each time (pure ASCII)
        self.deadline = None if deadline is None else time.monotonic() + deadline
        self.done = asyncio.get_running_loop().create_future()
        self.n = self.seq = (
            None  # its number in the lease; its number in the session while it is on its way
        )
        self.not_before = 0.0  # after a retry refusal
        self.maybe = False  # it may have reached the server and was not refused since

    def resolve(self, value=None, error=None):
        if self.done.done():
            return  # 6.2: nobody waits any more
        if error is None:
            self.done.set_result(value)
        else:
            self.done.set_exception(error)
