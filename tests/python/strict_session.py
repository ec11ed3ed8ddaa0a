"""A session of the strict server: its token, and the frames that it numbers (section 4)."""

import secrets
from collections import deque
from websockets.exceptions import ConnectionClosed
from strict_rules import check

WINDOW = {"bytes": 4096}  # beside the frames, which a test may choose


class Session:
    def __init__(self, server, principal):
        self.server = server
        self.id, self.principal, self.gen = secrets.token_hex(16), principal, 0
        self.token = self.old = None  # 4.8: the current one, and the last one that was confirmed
        self.confirmed = True
        self.lease = None
        self.asking = self.heard = False  # 5.25: the lease was asked for; the client knows it
        self.dials, self.socket = {}, None
        # What comes: the highest seq, the one that the client was told of, and the sizes between.
        self.recv, self.said, self.sizes = 0, 0, {}
        self.carried = set()  # the n of its commands
        # What goes: the highest seq, what is unacknowledged by seq, and what waits for the window.
        self.sent, self.replay, self.waiting = 0, {}, deque()
        self.window = None  # of HELLO
        self.acked_to = self.due = 0  # 4.5

    def welcome(self, lease, sock, hello):
        """A new attachment: its token is another one (4.8)."""
        self.dials[hello["instance"]] = hello["dial"]
        if self.confirmed:
            self.old = self.token
        self.token, self.confirmed, self.gen = secrets.token_hex(16), False, self.gen + 1
        self.lease, self.socket, self.window = lease, sock, hello["window"]
        self.due, self.pings = 0, {}

    def tells(self):
        """The ack of a frame that is about to be sent."""
        self.said = self.recv
        self.sizes = {seq: size for seq, size in self.sizes.items() if seq > self.said}
        return self.recv

    def takes(self, seq, size):
        """A sequenced frame of the client."""
        check(f"4.2 seq {seq} after {self.recv}", seq == self.recv + 1)
        self.recv = seq
        self.sizes[seq] = size
        frames, total = len(self.sizes), sum(self.sizes.values())
        fits = frames <= self.server.frames and total <= WINDOW["bytes"]
        check("4.6 window", frames == 1 or fits)

    def has_room(self, size):
        """4.6, for what this server sends."""
        total = sum(len(body or "") for _, _, body in self.replay.values())
        return not self.replay or (
            len(self.replay) < self.window["frames"] and total + size <= self.window["bytes"]
        )

    async def send(self, kind, rest, body=None):
        """A sequenced frame, when the window lets it."""
        self.waiting.append((kind, rest, body))
        await self.flow()

    async def flow(self):
        while self.waiting and self.socket and self.socket.replayed:
            if not self.has_room(len(self.waiting[0][2] or "")):
                return
            self.sent += 1
            self.replay[self.sent] = kind, rest, body = self.waiting.popleft()
            try:
                await self.socket.send([kind, self.sent, self.tells(), *rest], body)
            except ConnectionClosed:
                return

    async def send_again(self, recv):
        """4.7: what is above `recv`, before anything newer."""
        self.forget(recv)
        for seq, (kind, rest, body) in list(self.replay.items()):
            await self.socket.send([kind, seq, self.tells(), *rest], body)

    def forget(self, ack):
        check("4.4 ack", ack <= self.sent)
        self.acked_to = max(self.acked_to, ack)
        for seq in [seq for seq in self.replay if seq <= ack]:
            del self.replay[seq]

    def pinged(self, k):
        self.pings[k] = self.sent

    def ponged(self, k):
        """4.5: what was sent before the ping before this one was read a round trip ago."""
        unacked = self.due - self.acked_to
        check("4.5 ACK is due", unacked < max(1, min(32, self.window["frames"] / 2)))
        self.due = self.pings.pop(k, self.due)
