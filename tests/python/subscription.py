"""Subscriptions: what waits for the application, and what it has finished with (section 7).

The numbers in comments are the clauses of PROTOCOL.md.
"""

import asyncio, itertools, random, re
from collections import deque, namedtuple
from frames import EVENT, POSITION, SKIP, SNAPSHOT, SUBSCRIBE, SUBSCRIBED, TOPIC_VOLATILE
from frames import UNSUBSCRIBE, Broken, read

SPACE = r"[ \t\r\n]*"
# The first bytes of EVENT, SNAPSHOT and TOPIC_VOLATILE: their kind, and the topic's number (2.7).
HEAD = re.compile(
    f"{SPACE}\\[{SPACE}({EVENT}|{SNAPSHOT}|{TOPIC_VOLATILE}){SPACE},{SPACE}([0-9]+){SPACE},"
)
VOLATILES = 1000  # how many items may wait before volatile ones are dropped

# What Subscription.get() returns. kind: "reset" (`name` is the reason; anything but "initial" is a
# gap), "snapshot", "event", "volatile", "bad" (a body that does not fit) or "ended" (`name` is the
# code). The rest is for the client itself.
Item = namedtuple(
    "Item", "kind epoch ts name body reset life total", defaults=(None, 0, "", None, 0, 0, 0)
)


class Subscription:
    def __init__(self, write, topic, key, position, credit):
        self.write, self.topic, self.key = write, topic, key
        self.credit, self.position = credit, position
        self.sub = self.number = None  # on this attachment
        self.items, self.ready = deque(), asyncio.Event()
        # How many resets and how many SUBSCRIBEs there were: by these an item shows which position
        # it moves. Bytes of this `sub`, and the `ts` that came last.
        self.resets = self.life = self.total = self.last = 0
        self.epoch, self.snapshot_next, self.timer = None, False, None
        self.handed = self.busy = (
            None  # the (epoch, ts) handed to the application last; the Item that it works on
        )
        # The credit position (7.15), and what it was at the last POSITION.
        self.finished, self.told, self.granted = (0, 0), (0, 0), credit

    async def get(self):
        """The next item. To ask for it is to have finished with the one before."""
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
        if item.reset == self.resets and item.kind != "reset":
            self.position = (item.epoch, item.ts)  # 7.17; a reset itself moved it when it came
        if item.life != self.life or self.number is None:
            return  # 7.18: of an earlier attachment
        before = self.finished
        ts = before[0]
        if item.reset == self.resets and item.kind != "reset":
            ts = item.ts
        self.finished = (ts, item.total)
        if ts - self.told[0] >= max(1, self.granted[0] // 4) or (
            item.total - self.told[1] >= max(1, self.granted[1] // 4)
        ):
            self._tell()
        elif self.finished != before:
            self._tell_later()

    def _tell_later(self):
        if not self.timer:
            self.timer = asyncio.get_running_loop().call_later(0.2, self._tell)  # 7.19

    def _tell(self):
        self._quiet()
        if self.number is not None and self.finished != (0, 0):
            self.told = (max(self.finished[0], self.told[0]), self.finished[1])
            self.write([POSITION, self.number, *self.finished])

    def _quiet(self):
        if self.timer:
            self.timer.cancel()
        self.timer = None

    def _asks(self, sub):
        self.sub, self.number, self.asked = sub, None, self.position
        self.life, self.total = self.life + 1, 0
        self.finished, self.told = (0, 0), (0, 0)
        credit = {"events": self.credit[0], "bytes": self.credit[1]}
        m = {"sub": sub, "topic": self.topic, "key": self.key, "credit": credit}
        if self.position:
            m["from"] = {"epoch": self.position[0], "ts": self.position[1]}
        self.write([SUBSCRIBE, m])

    def _detached(self):
        """The socket or the server ended it. What waits comes again, except what lies before a
        reset that is a position itself: nothing else would tell the application of that gap."""
        self._quiet()
        self.sub = self.number = None
        kept = [i for i, item in enumerate(self.items) if item.kind == "reset" and item.epoch]
        kept = kept[-1] + 1 if kept else 0
        self.items = deque(
            item for i, item in enumerate(self.items) if i < kept or item.kind == "ended"
        )

    def ends(self, code):
        self._quiet()
        self.sub = self.number = None
        self._put("ended", name=code)

    def _put(self, kind, ts=0, name="", body=None, epoch=None):
        if body is not None:
            body, fits = read(body)
            if not fits:
                kind, body = ("bad" if epoch else "volatile"), None  # 3.5
        self.items.append(Item(kind, epoch, ts, name, body, self.resets, self.life, self.total))
        self.ready.set()

    def _frame(self, kind, ts, name="", body=None, size=0):
        self.total += size
        if self.snapshot_next != (kind == SNAPSHOT):
            raise Broken(4410, "SNAPSHOT out of place")
        if kind == EVENT and ts != self.last + 1 or kind == SKIP and ts <= self.last:
            raise Broken(4410, f"event {ts} after {self.last}")  # 7.7
        self.last, self.snapshot_next = ts, False
        if kind == SNAPSHOT:
            self.told = (ts, self.told[1])  # 7.15: EVENTs continue after it
        self._put(
            {EVENT: "event", SNAPSHOT: "snapshot", SKIP: "skip"}[kind], ts, name, body, self.epoch
        )

    def _subscribed(self, m):
        reset = m.get("reset")
        if reset is None and self.asked != (m["epoch"], m["ts"]):
            raise Broken(4410, "SUBSCRIBED continues from elsewhere")
        asked = dict(zip(("events", "bytes"), self.credit))
        granted = m.get("credit") or asked  # 7.14
        self.granted = (granted["events"], granted["bytes"])
        if not all(1 <= granted[k] <= asked[k] for k in asked):
            raise Broken(4410, "SUBSCRIBED grants more credit than was asked for, or none")
        renumbered = self.number not in (None, m["number"])
        self.number, self.epoch, self.last = m["number"], m["epoch"], m["ts"]
        self.snapshot_next = reset is not None and m["snapshot"]
        self.finished, self.told = (0, self.finished[1]), (m["ts"], self.told[1])
        if reset is not None:
            self.resets += 1
            # 7.17: without a snapshot this is the resume position at once. With one, the earlier
            # position stays until the snapshot is finished with.
            if not self.snapshot_next:
                self.position = (m["epoch"], m["ts"])
            self._put("reset", m["ts"], reset, epoch=None if self.snapshot_next else m["epoch"])
        if renumbered:
            self._tell()  # 7.16: what was told for the earlier number may have been ignored


class Subscriptions:
    """All of a client. `write` sends a frame, if there is an attachment."""

    def __init__(self, write):
        self.write, self.all, self.ids, self.attached = write, [], itertools.count(1), False

    def add(self, *args):
        sub = Subscription(self.write, *args)
        self.all.append(sub)
        self._ask(sub)
        return sub

    def leave(self, sub):
        self.all.remove(sub)
        if sub.sub is not None:
            self.write([UNSUBSCRIBE, {"sub": sub.sub}])

    def attach(self):
        self.attached = True
        for sub in self.all:
            self._ask(sub)  # 7.2

    def detach(self):
        self.attached = False
        for sub in self.all:
            sub._detached()  # 7.2: subscriptions end with the socket

    def stop(self):
        for sub in self.all:
            sub._put("ended", name="stopped")

    def _ask(self, sub):
        if self.attached and sub.sub is None and sub in self.all:
            sub._asks(next(self.ids))

    def of_topic(self, kind, number, rest, size):
        """A frame with a topic's number."""
        sub = next((s for s in self.all if s.number == number), None)
        if sub is None:
            return  # 7.10: unsubscribed, frames still on their way
        if kind != TOPIC_VOLATILE:
            sub._frame(kind, *rest, size=0 if kind == SKIP else size)
        elif len(sub.items) < VOLATILES:
            sub._put("volatile", 0, *rest)

    def too_large(self, message):
        """2.7: a message longer than the client takes ends the subscription that it is of."""
        head = isinstance(message, str) and HEAD.match(message)
        sub = head and next((s for s in self.all if s.number == int(head[2])), None)
        if not sub:
            raise Broken(1009, "a message that is too long, and of no subscription")
        self.leave(sub)
        sub.ends("too_large")

    def answer(self, kind, m):
        """SUBSCRIBED or UNSUBSCRIBED."""
        sub = next((s for s in self.all if s.sub == m["sub"]), None)
        if sub is None:
            return
        if kind == SUBSCRIBED:
            sub._subscribed(m)
        elif m["code"] in ("overload", "internal"):  # 7.10: try again
            sub._detached()
            wait = m.get("retry_ms")
            wait = random.uniform(0.5, 1) if wait is None else wait / 1000
            asyncio.get_running_loop().call_later(wait, self._ask, sub)
        else:  # final; what came before still belongs to the application
            self.all.remove(sub)
            sub.ends(m["code"])
