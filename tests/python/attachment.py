"""An attachment: what is written to one socket, and its signs of life (section 9).

The numbers in comments are the clauses of PROTOCOL.md.
"""

import asyncio, json, time
from collections import deque
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from frames import PING


class Socket(ClientConnection):
    """Notes when a byte came last: each is a sign of life, whole message or not (9.1)."""

    heard = 0.0

    def data_received(self, data):
        self.heard = time.monotonic()
        super().data_received(data)


class Attachment:
    """From WELCOME to the end of the socket. A message of the server may take any time, as long as
    its bytes come (9.4)."""

    def __init__(self, ws, heartbeat):
        self.ws, self.lines, self.wake = ws, deque(), asyncio.Event()
        self.said = time.monotonic()
        self.draining = False  # after GOAWAY
        self.asked = False  # LEASE was sent (5.24)
        self.tasks = [
            asyncio.ensure_future(self._writer()),
            asyncio.ensure_future(self._heartbeat(heartbeat)),
        ]

    def write(self, frame, first=False):
        line = frame if isinstance(frame, str) else json.dumps(frame)
        (self.lines.appendleft if first else self.lines.append)(line)
        self.said = time.monotonic()
        self.wake.set()

    def end(self):
        """Close with 1000 when everything is written (4.11)."""
        self.lines.append(None)
        self.wake.set()

    def gone(self):
        for task in self.tasks:
            task.cancel()

    async def _writer(self):
        while True:
            while self.lines:
                line = self.lines.popleft()
                if line is None:
                    return await self.ws.close(1000)
                try:
                    await self.ws.send(line)
                except ConnectionClosed:
                    return
            self.wake.clear()
            await self.wake.wait()

    async def _heartbeat(self, numbers):
        interval, timeout, bound = (
            max(1, numbers[name]) for name in ("interval_ms", "timeout_ms", "missed")
        )
        interval, timeout = interval / 1000, timeout / 1000
        heard, missed, ping = self.ws.heard, 0, 0.0
        while True:
            now = time.monotonic()
            if self.ws.heard != heard:
                heard, missed = self.ws.heard, 0
            due = ping + timeout if missed else heard + interval  # 9.1
            if now >= due and missed >= bound:
                return await self.ws.close(4003, "missed heartbeats")
            if now >= due:
                self.write([PING, missed], first=True)
                missed, ping = missed + 1, now
            elif now >= self.said + interval:
                self.write([PING, missed], first=True)  # 9.3: not counted
            else:
                await asyncio.sleep(min(due, self.said + interval) - now)
