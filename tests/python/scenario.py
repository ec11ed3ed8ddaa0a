"""The scenario that shows that the specification is enough:

    python3 scenario.py ws://127.0.0.1:PORT/ [CONTROL_PORT]

It runs against a chat server (protocol "chat" 1.0) with the message `post` {room, text}, whose
reply is the message's id, and the topic `room` keyed by the room's name, with the events `posted`
{room, id, from, text} and the snapshot `history` {room, messages: [{id, from, text}…]}. HELLO's
token is the user's name. The server should retain at least 64 and at most 8192 events of a topic,
and a snapshot must contain all messages of its room.

With a control port (plain TCP, one line each way) the scenario also sends "drain" and expects an
answer, a GOAWAY with close code 4010, and a server at the same address afterwards. It prints one
line per step and then "ok"; or it exits with 1, and says what it expected and what it saw.
"""

import asyncio, secrets, sys
from steadfast_client import Client

STEP, TOTAL = 20, 180  # seconds: nothing waits longer than this


class Violation(Exception):
    pass


def expect(what, expected, seen):
    if expected != seen:
        raise Violation(f"{what}: expected {expected!r}, seen {seen!r}")


async def within(what, awaitable, seconds=STEP):
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        raise Violation(f"{what}: expected it within {seconds} s, seen nothing") from None


async def until(what, condition):
    async def poll():
        while not condition():
            await asyncio.sleep(0.005)

    await within(what, poll())


class Follower:
    """Follows a room and keeps what an application would: the messages in order, and the resets."""

    def __init__(self, client, room):
        self.room, self.messages, self.resets, self.doubles, self.wrong = room, {}, [], [], []
        self.last = None
        self.sub = client.subscribe("room", room, credit=(16, 1 << 16))
        self.task = asyncio.ensure_future(self.follow())

    async def follow(self):
        while True:
            i = await self.sub.get()
            if i.kind == "reset":
                self.resets.append(i.name)
            elif (i.kind, i.name) == ("snapshot", "history"):
                if i.body["room"] != self.room:
                    self.wrong.append(i)
                # A snapshot contains everything up to its ts (7.5), so it replaces what was there.
                # Events after it may repeat some of it.
                self.messages = {key(m["id"]): (m["from"], m["text"]) for m in i.body["messages"]}
            elif (i.kind, i.name) == ("event", "posted"):
                b = i.body
                if b["room"] != self.room:
                    self.wrong.append(i)
                if self.last is not None and self.last[0] == i.epoch and i.ts <= self.last[1]:
                    self.doubles.append(i)
                self.messages[key(b["id"])] = (b["from"], b["text"])
            else:
                self.wrong.append(i)
            if i.epoch:
                self.last = (i.epoch, i.ts)

    def check(self, what, posted):
        if self.task.done():
            raise Violation(f"{what}: the follower ended: {self.task.exception()!r}")
        expect(f"{what}: items of another kind or room", [], self.wrong)
        expect(f"{what}: events seen twice", [], self.doubles)
        extra = [m for k, m in self.messages.items() if k not in posted]
        expect(f"{what}: messages nobody posted, or effects of one command seen twice", [], extra)
        missing = [m for k, m in posted.items() if k not in self.messages]
        if missing:
            raise Violation(
                f"{what}: expected {len(posted)} messages, seen {len(self.messages)}; "
                f"missing {missing[:5]}"
            )
        expect(f"{what}: contents", posted, self.messages)

    async def caught_up(self, what, posted):
        try:
            await until(what, lambda: self.task.done() or len(self.messages) >= len(posted))
        except Violation:
            pass  # check() says it better
        self.check(what, posted)


def key(message_id):
    return repr(message_id)  # any JSON value may be an id


class Scenario:
    def __init__(self, url):
        self.url, self.room, self.posted, self.clients = url, "room-" + secrets.token_hex(4), {}, []

    def client(self, user):
        self.clients.append((user, Client(self.url, "chat", "1.0", token=user, backoff=0.2)))
        return self.clients[-1][1]

    def note(self, user, text, message_id):
        if key(message_id) in self.posted:
            raise Violation(f"id of {text!r}: expected a new one, seen {message_id!r} again")
        self.posted[key(message_id)] = (user, text)

    async def post(self, client, user, text):
        self.note(
            user,
            text,
            await within(
                f"result of {text!r}", client.call("post", {"room": self.room, "text": text})
            ),
        )

    async def again(self, client, count, what):
        """Wait for the WELCOME after `count` others, and check that it resumed the session with a
        new token and generation."""
        before = client.welcomes[count - 1]
        await until(f"{what}: WELCOME", lambda: len(client.welcomes) > count or client.task.done())
        if client.task.done():
            raise Violation(f"{what}: expected WELCOME, seen {client.stopped!r}")
        w = client.welcomes[count]
        expect(f"{what}: resumed", True, w["resumed"])
        expect(f"{what}: session", before["session"], w["session"])
        expect(f"{what}: generation", before["gen"] + 1, w["gen"])
        lease = w.get("lease") or {}
        first = client.outbox.leases[0]["id"]
        expect(f"{what}: lease", (first, "ok"), (lease.get("id"), lease.get("state")))
        if w["token"] == before["token"]:
            raise Violation(f"{what}: expected a new token, seen the old one")

    async def cut_and_resume(self, client, what):
        count = len(client.welcomes)
        client.cut()
        await self.again(client, count, what)

    async def first_commands(self):
        """4. A client asks for its lease with its first command (5.24); the socket breaks before it
        has asked, meanwhile, or after that."""
        for i in range(8):
            eve = self.client("eve")
            await until(f"first command {i}: WELCOME", lambda: eve.welcomes or eve.task.done())
            post = asyncio.ensure_future(self.post(eve, "eve", f"first command {i}"))
            for _ in range(i):
                await asyncio.sleep(0)  # it gets as far as it gets
            eve.cut()
            await within(f"first command {i}", post)
            leases = {lease["id"] for lease in eve.outbox.leases}
            expect(f"first command {i}: leases that were told", 1, len(leases))
            await within(f"first command {i}: close", eve.close())
            self.clients.pop()

    async def run(self, control=None):
        # 1. Connect.
        ada = self.client("ada")
        await until("connect: WELCOME", lambda: ada.welcomes or ada.task.done())
        if not ada.welcomes:
            raise Violation(f"connect: expected WELCOME, seen {ada.stopped!r}")
        w = ada.welcomes[0]
        expect(
            "connect: resumed, recv, lease",
            (False, 0, None),
            (w["resumed"], w["recv"], w.get("lease")),
        )
        print("connected: session", w["session"][:8], "without a lease")

        # 2. Post, and follow the room with two clients.
        await self.post(ada, "ada", "first")
        told = [lease["state"] for lease in ada.outbox.leases]
        expect("first post: leases that were told", ["new"], told)
        follower = Follower(ada, self.room)
        bob = self.client("bob")
        watcher = Follower(bob, self.room)
        for f in (follower, watcher):
            await f.caught_up("first post", self.posted)
            expect("first subscription: resets", ["initial"], f.resets)
        print("posted: its result came, two subscriptions show it")

        # 3. Cut without a close frame; resume.
        await self.cut_and_resume(ada, "cut")
        await self.post(ada, "ada", "after the cut")
        print("cut and resumed: resumed is true, the token is new, the generation one higher")

        # 4. Cut between sending and result, in three ways: never sent, raced, and executed with the
        #    result unread.
        count = len(ada.welcomes)
        ada.cut()
        await self.post(ada, "ada", "called on a dead socket")
        await self.again(ada, count, "cut before sending")
        for i in range(5):
            count = len(ada.welcomes)
            post = asyncio.ensure_future(self.post(ada, "ada", f"raced {i}"))
            for _ in range(i + 2):
                await asyncio.sleep(0)  # the command gets as far as it gets
            ada.cut()
            await self.again(ada, count, f"race {i}")
            await within(f"race {i}", post)
        count, seen = len(ada.welcomes), len(self.posted)
        await watcher.caught_up("before the unread result", self.posted)
        ada.ws.transport.pause_reading()  # the network is deaf in one direction
        post = asyncio.ensure_future(self.post(ada, "ada", "executed, result unread"))
        await until(
            "effect of the command whose result is unread", lambda: len(watcher.messages) > seen
        )
        if post.done():
            raise Violation("result: expected none while nothing is read, seen one")
        ada.cut()
        await self.again(ada, count, "result unread")
        await within("the result that was unread", post)
        await self.post(ada, "ada", "one more")  # anything done twice would be seen before this
        for f in (follower, watcher):
            await f.caught_up("posts cut off", self.posted)
        print("cut between sending and result, 7 times: one result and one effect each")

        await self.first_commands()
        for f in (follower, watcher):
            await f.caught_up("first commands cut off", self.posted)
        print("cut around the first command of 8 clients: one result and one effect each")

        # 5. Follow a topic across cuts while the other posts.
        async def talk():
            for i in range(60):
                await self.post(bob, "bob", f"talk {i}")
                await asyncio.sleep(0.01)

        talk = asyncio.ensure_future(talk())
        for i in range(3):
            await asyncio.sleep(0.1)
            await self.cut_and_resume(ada, f"cut {i} while following")
        await within("talk", talk)
        for f in (follower, watcher):
            await f.caught_up("followed across cuts", self.posted)
            expect("followed across cuts: resets", ["initial"], f.resets)
        print(f"followed across 3 cuts: {len(self.posted)} messages, no gap, no duplicate")

        # 6. Kept away until the server no longer retains what was missed. How much that is nobody
        #    knows, so it is longer each time.
        missed = 64
        while True:
            ada.gate.clear()
            ada.cut()
            seen = len(self.posted)
            for first in range(0, missed, 16):
                await asyncio.gather(
                    *(
                        self.post(bob, "bob", f"missed {missed}/{i}")
                        for i in range(first, first + 16)
                    )
                )
            if len(follower.messages) > seen:
                raise Violation("kept away: expected no events, seen some")
            ada.gate.set()
            await follower.caught_up(f"back after {missed} missed", self.posted)
            if follower.resets != ["initial"]:
                break
            missed *= 2
            if missed > 8192:
                raise Violation("kept away: expected a reset after 8192 missed events, seen none")
        expect("kept away: resets", ["initial", "trimmed"], follower.resets)
        await self.post(bob, "bob", "after the gap")
        await self.post(ada, "ada", "after the gap too")
        for f in (follower, watcher):
            await f.caught_up("after the gap", self.posted)
        print(
            f"kept away for {missed} events: the gap was reported (trimmed), "
            "the snapshot and the events cover everything"
        )

        # 7. Drain, if there is someone to ask.
        if control:
            reader, writer = await within(
                "control port", asyncio.open_connection("127.0.0.1", control)
            )
            counts = [(c, len(c.welcomes), len(c.closes)) for _, c in self.clients]
            writer.write(b"drain\n")
            await within("answer to drain", reader.readline())
            writer.close()
            for c, welcomes, closes in counts:
                await until(
                    "after GOAWAY: WELCOME", lambda: len(c.welcomes) > welcomes or c.task.done()
                )
                expect("after GOAWAY: close code", 4010, c.closes[closes])
            await self.post(ada, "ada", "after the drain")
            for f in (follower, watcher):
                await f.caught_up("after the drain", self.posted)
            print("drained: left with 4010, came back, nothing lost")

        # 8. Close cleanly.
        for f in (follower, watcher):
            f.task.cancel()
        for user, c in self.clients:
            await within(f"close of {user}", c.close())
            expect(f"close of {user}: code", 1000, c.closes[-1])
        print("closed")


async def main(url, control=None):
    scenario = Scenario(url)
    try:
        await within("the whole scenario", scenario.run(control), TOTAL)
        print("ok")
        return 0
    except Exception as e:
        print("VIOLATION", e if isinstance(e, Violation) else repr(e))
        for user, c in scenario.clients:
            closes, stopped = list(zip(c.closes, c.reasons)), getattr(c, "stopped", None)
            print(f"  {user}: closes {closes}, stopped {stopped!r}")
        return 1
    finally:
        for _, c in scenario.clients:
            await c.close(timeout=0.1)
        others = asyncio.all_tasks() - {asyncio.current_task()} if __name__ == "__main__" else ()
        for t in others:
            t.cancel()
        await asyncio.gather(*others, return_exceptions=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)))
