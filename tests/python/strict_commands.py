"""The commands of one lease at the strict server: the rules of section 5, and what is executed."""

import asyncio, json, secrets, time
from strict_rules import check
from strict_topics import Topic

RETRY = ("draining", "overload", "rate_limited")


class Accepted:
    """A command between its acceptance and its record."""

    def __init__(self, n, name, body, session):
        self.n, self.name, self.body, self.session = n, name, body, session
        self.expires = None  # 5.13, on the clock of time.monotonic()
        self.begun = False
        self.told = asyncio.Event()  # the handler is told that nobody wants it any more (5.27)

    def waits_until(self, deadline_ms):
        if deadline_ms is not None:
            at = time.monotonic() + deadline_ms / 1000
            self.expires = at if self.expires is None else min(self.expires, at)

    def is_over(self):
        return self.expires is not None and time.monotonic() >= self.expires


class Commands:
    def __init__(self, lease):
        self.lease, self.task = lease, None
        self.highest = 0  # the highest n that ever came
        self.bytes = {}  # n -> its name and the text of its body (5.8)
        self.deadlines = {}  # n -> the deadline_ms that came last
        self.accepted = {}  # n -> Accepted, in order
        self.refused = {}  # n -> code and retry_ms, until it comes again (5.11)
        self.records = {}  # n -> kind, the elements after dup, body
        self.cancelled = set()  # 5.27

    def low_is(self, low):
        """5.4: every lower n is resolved at the client."""
        check("5.4 low is not beyond what was sent", low <= self.highest + 1)
        check(
            "5.4 low never passes an unresolved n",
            not any(n < low for n in self.accepted),
        )
        self.lease.low = max(self.lease.low, low)
        self.refused = {n: r for n, r in self.refused.items() if n >= low}

    def unresolved(self):
        return {*self.accepted, *self.refused, *self.records}

    async def came(self, sock, n, low, deadline_ms, name, body):
        """COMMAND. `body` is text."""
        session, server = sock.session, sock.server
        check("5.4 low is not beyond what was sent", low <= max(n, self.highest + 1))
        self.low_is(low)
        check("5.3 span", n - self.lease.low < server.span)
        check("5.4 a resolved command comes again", n >= self.lease.low)
        check("5.8 same bytes", self.bytes.setdefault(n, (name, body)) == (name, body))
        self.check_deadline(n, deadline_ms)
        new = n > self.highest
        if new:
            check(f"5.2 order: {n} after {self.highest}", n == self.highest + 1)
            earlier = [k for k in self.accepted if k < n and k not in session.carried]
            check(f"5.9 {earlier} go before the new {n}", not earlier)
        if n not in session.carried:
            check(f"5.9 order: {n}", n > max(session.carried, default=0) or n in self.refused)
        self.highest = max(self.highest, n)
        session.carried.add(n)
        sock.cancels.discard(n)  # 5.27: CANCEL comes again after it
        if n in self.records:
            return await self.answer(session, n, dup=1)
        if n in self.accepted:  # 5.8: it joins
            self.accepted[n].session = session
            self.accepted[n].waits_until(deadline_ms)
            return
        barrier = min(self.refused, default=n)
        if barrier < n:
            self.refused[n] = self.refused[barrier]
            return await session.send(9, [n, *self.refused[n]])  # 5.11
        self.refused.pop(n, None)
        if server.refusals:
            return await self.refuse(session, n, *server.refusals.pop(0))
        self.accepted[n] = accepted = Accepted(n, name, json.loads(body), session)
        accepted.waits_until(deadline_ms)
        if not self.task or self.task.done():
            self.task = asyncio.ensure_future(self.work(server))

    def check_deadline(self, n, deadline_ms):
        if n in self.cancelled:
            check("5.27 deadline_ms is 0 when it comes again", deadline_ms == 0)
        elif n in self.deadlines and deadline_ms != 0:  # 0: over, or cancelled without a socket
            before = self.deadlines[n]
            same = (before is None) == (deadline_ms is None)
            check("5.13 a deadline neither comes nor goes", same)
            check("5.13 a deadline does not grow", before is None or deadline_ms <= before)
        self.deadlines[n] = deadline_ms

    async def refuse(self, session, n, code, retry_ms):
        if code in RETRY:
            self.refused[n] = (code, retry_ms)
            await session.send(9, [n, code, retry_ms])
        else:
            self.records[n] = (9, [code, retry_ms], None)
            await self.answer(session, n, dup=0)

    async def answer(self, session, n, dup):
        kind, rest, body = self.records[n]
        await session.send(kind, [n, *([] if kind == 9 else [dup]), *rest], body)

    async def cancel(self, sock, n):
        """CANCEL (5.27)"""
        check("5.27 CANCEL comes after the COMMAND", n in sock.session.carried)
        check("5.27 CANCEL of what is resolved", n >= self.lease.low)
        check("5.27 CANCEL twice", n not in sock.cancels)
        sock.cancels.add(n)
        self.cancelled.add(n)
        sock.server.cancels.append(n)
        command = self.accepted.get(n)
        if command and command.begun:
            command.told.set()
        elif command:
            await self.expire(command)

    def check_cancelled(self, sock):
        """5.27: the client is done, and has said again on this attachment what it cancelled."""
        missing = {n for n in self.cancelled if n in self.accepted and n >= self.lease.low}
        check("5.27 CANCEL on each attachment", not missing - sock.cancels)

    async def expire(self, command):
        del self.accepted[command.n]
        self.records[command.n] = (9, ["expired", 0], None)  # 5.13, 5.18
        await self.answer(command.session, command.n, dup=0)

    async def work(self, server):
        """Executes what was accepted, in order (5.5)."""
        while self.accepted:
            await server.may_begin.wait()
            command = next(iter(self.accepted.values()), None)
            if not command:
                break
            if command.is_over():
                await self.expire(command)
                continue
            command.begun = True
            if server.delay:
                await asyncio.sleep(server.delay)
            record = await self.execute(server, command)
            del self.accepted[command.n]
            self.records[command.n] = record
            server.executed.append((command.n, command.body))
            if command.name == "post":
                await server.publish(command.body["room"])
            await self.answer(command.session, command.n, dup=0)

    async def execute(self, server, command):
        if command.name == "fail":
            return 4, ["error", "no_such_room"], '{"room":"x"}'
        if command.name == "reuse":
            return 4, ["id_reused", ""], "{}"
        if command.name == "odd":
            return 3, [], "{broken"
        if command.name == "wait":  # until it is cancelled, or a test lets it go on
            await first(command.told.wait(), server.may_finish.wait())
            if command.told.is_set():
                return 4, ["error", "told"], "{}"
            return 3, [], "null"
        room = server.rooms.setdefault(command.body["room"], Topic())
        name = f"id-{secrets.token_hex(4)}"
        room.messages.append((name, self.lease.principal, command.body["text"]))
        return 3, [], json.dumps(name)


async def first(*waits):
    tasks = [asyncio.ensure_future(w) for w in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
