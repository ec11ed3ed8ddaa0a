"""One subscription: what waits for the application, and what it has finished with (section 7).

The numbers in comments are the clauses of PROTOCOL.md.
"""

import asyncio, json
from collections import deque, namedtuple
from frames import EVENT, POSITION, SKIP, SNAPSHOT, Broken

# What Subscription.get() returns. kind: "reset" (`name` is the reason; anything but "initial" is a
# gap), "snapshot", "event", "volatile", "bad" (a body that is not JSON) or "ended" (`name` is the
# code). The rest is for the client itself.
Item = namedtuple("Item", "kind epoch ts name body life total", defaults=(None, 0, "", None, 0, 0))


class Subscription:
    def __init__(self, client, topic, key, position, credit):
        self.client, self.topic, self.key, self.credit, self.position = (
            client,
            topic,
            key,
            credit,
            position,
        )
        self.sub = self.number = None  # on this attachment
        self.items, self.ready = deque(), asyncio.Event()
        self.life = self.total = self.last = (
            0  # SUBSCRIBEDs seen; bytes since the last one; its continuity
        )
        self.epoch, self.snapshot_next = None, False
        self.handed = self.busy = (
            None  # the (epoch, ts) handed to the application last; the Item that it works on
        )
        self.told = (0, 0)  # what POSITION said last

    async def get(self):
        """The next item. To ask for it is to have finished with the one before (7.8)."""
        while True:
            if self.busy:
                self._finished(self.busy)
            self.busy = None
            while not self.items:
                self.ready.clear()
                await self.ready.wait()
            self.busy = item = self.items.popleft()
            if item.kind == "reset":
                self.handed = None
            if (
                item.kind == "skip"
                or item.kind in ("event", "bad")
                and self.handed
                and self.handed[0] == item.epoch
                and item.ts <= self.handed[1]
            ):
                continue  # nothing for the application, or it had this before the socket was lost
            if item.kind in ("snapshot", "event", "bad"):
                self.handed = (item.epoch, item.ts)
            return item

    def _finished(self, item):
        if item.epoch is None:
            return  # volatile, ended, a reset that a snapshot follows: no position
        self.position = (item.epoch, item.ts)
        if item.life != self.life or self.number is None:
            return  # of an earlier SUBSCRIBED: 7.8 counts anew
        if (
            item.ts - self.told[0] >= self.credit[0] / 2
            or item.total - self.told[1] >= self.credit[1] / 2
            or item.kind == "skip"
        ):
            self.told = (item.ts, item.total)
            self.client._write([POSITION, self.number, *self.told])

    def _put(self, kind, ts=0, name="", body=None, epoch=None):
        if body is not None:
            try:
                body = json.loads(body)
            except ValueError:
                kind, body = ("bad" if epoch else "volatile"), None  # 3.5
        self.items.append(Item(kind, epoch, ts, name, body, self.life, self.total))
        self.ready.set()

    def _frame(self, kind, ts, name="", body=None, size=0):
        self.total += size
        if self.snapshot_next != (kind == SNAPSHOT):
            raise Broken(4410, "SNAPSHOT out of place")
        if kind == EVENT and ts != self.last + 1 or kind == SKIP and ts <= self.last:
            raise Broken(4410, f"event {ts} after {self.last}")  # 7.7
        self.last, self.snapshot_next = ts, False
        self._put(
            {EVENT: "event", SNAPSHOT: "snapshot", SKIP: "skip"}[kind], ts, name, body, self.epoch
        )

    def _subscribed(self, m):
        reset = m.get("reset")
        if reset is None and self.asked != (m["epoch"], m["ts"]):
            raise Broken(4410, "SUBSCRIBED continues from elsewhere")
        self.number, self.epoch, self.last, self.total = m["number"], m["epoch"], m["ts"], 0
        self.life, self.told, self.snapshot_next = (
            self.life + 1,
            (m["ts"], 0),
            reset is not None and m["snapshot"],
        )
        # A reset without a snapshot is itself a position. With one, the old position stays until
        # the snapshot is finished with.
        if reset is not None:
            self._put("reset", m["ts"], reset, epoch=None if self.snapshot_next else m["epoch"])
