"""A client for the steadfast protocol, version 1 (JSON codec), written from PROTOCOL.md alone.

It is meant for people who port the protocol to another language; the numbers in comments are the
clauses. One task owns the socket: `_run` dials, and `_attach` is the life of one socket. Everything
else is plain state, without locks.

    client = Client("ws://127.0.0.1:9000/", "chat", "1.0", token="ada")
    print(await client.call("post", {"room": "tea", "text": "hi"}))
    sub = client.subscribe("room", "tea")
    while True: print(await asyncio.wait_for(sub.get(), 10))
    await client.close()
"""

import asyncio, itertools, json, math, random, secrets, time
from collections import deque
from websockets.asyncio.client import connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    NegotiationError,
)
from frames import ACK, COMMAND, COMMAND_DEADLINE, EVENT, FAILED, GOAWAY, HELLO, PING, PONG
from frames import REFUSED, RESULT, RESUME_FAILED, RETRY, SKIP, SNAPSHOT, SUBPROTOCOL, SUBSCRIBE
from frames import SUBSCRIBED, TOPIC_VOLATILE, UNSUBSCRIBE, UNSUBSCRIBED, VOLATILE, WELCOME
from frames import Broken, Failed, Refused, Stopped, Unknown, parse
from command import Command, Socket
from subscription import Subscription

INSTANCE, DIALS = secrets.token_hex(16), itertools.count(1)  # 4.9: per process
LIVED = 5.0  # seconds after WELCOME: then "in a row" and "k-th" begin anew (8.1b)


class Client:
    def __init__(
        self,
        url,
        protocol,
        version,
        token=None,
        window=(256, 1 << 20),
        message_bytes=16 << 20,
        backoff=30.0,
    ):
        """`message_bytes`: the longest message taken (2.6). `backoff`: the longest delay before a
        dial, in seconds (8.1a)."""
        self.url, self.protocol, self.version, self.window = url, protocol, version, window
        self.message_bytes, self.backoff = message_bytes, backoff
        self.token = (
            token if callable(token) else lambda: token
        )  # credentials: asked for at each dial
        self.session = self.lease = None  # (id, token) of the last WELCOME; lease id
        # Of this session: the highest seq sent, accepted here, and acknowledged by the server.
        self.sent = self.recv = self.acknowledged = 0
        self.replay, self.replay_bytes = {}, 0  # 4.6: seq -> Command not yet acknowledged
        self.numbered, self.next, self.waiting = (
            {},
            1,
            deque(),
        )  # outbox: n -> Command (unresolved), next n, not yet numbered
        self.subs, self.sub_ids = [], itertools.count(1)
        self.ws, self.up, self.closing, self.lines, self.wake = (
            None,
            False,
            False,
            deque(),
            asyncio.Event(),
        )
        self.gate = asyncio.Event()  # cleared: do not dial (used by tests)
        self.gate.set()
        self.welcomes, self.closes, self.reasons, self.dups = (
            [],
            [],
            [],
            0,
        )  # what happened, for who wants to look
        self.task = asyncio.ensure_future(self._run())

    async def call(self, name, body, deadline=None):
        """Send a command and wait for its reply, or for Refused, Failed, Unknown or Stopped."""
        if self.closing:
            raise Stopped(1000, "closed")
        command = Command(name, body, deadline)
        self.waiting.append(command)
        self._pump()
        return await command.done  # cancelling this changes nothing for the command (6.2)

    def volatile(self, name, body):
        self._write([VOLATILE, name, body])  # 5.16

    def subscribe(self, topic, key, position=None, credit=(64, 1 << 20)):
        sub = Subscription(self, topic, key, position, credit)
        self.subs.append(sub)
        self._subscribe(sub)
        return sub

    def unsubscribe(self, sub):
        self.subs.remove(sub)
        if sub.sub is not None:
            self._write([UNSUBSCRIBE, {"sub": sub.sub}])

    def cut(self):
        self.ws.transport.abort()  # as a network would: no close frame

    async def close(self, timeout=10):
        """Wait for the outbox, then end the lease (5.15) and the session (4.11)."""
        pending = [c.done for c in [*self.numbered.values(), *self.waiting] if not c.done.done()]
        if pending and not self.task.done():
            await asyncio.wait(pending, timeout=timeout)
        self.closing = True
        if self.up:
            self._ack_now()
            self.lines.append(None)
            self.wake.set()
            await asyncio.wait([self.task], timeout=timeout)
        self.task.cancel()
        await asyncio.wait([self.task])

    async def _run(self):
        tries, rows = 0, dict.fromkeys(("too long", "credentials", "wrong"), 0)
        code, reason = 1000, "closed"
        try:
            while not self.closing:
                await self.gate.wait()
                seen, self.after = len(self.welcomes), None
                try:
                    code, reason = await self._attach()
                except NegotiationError as e:
                    raise Stopped(0, f"something in between changed the subprotocol: {e}")  # 2.1
                except InvalidStatus as e:
                    code, reason = self._refused_upgrade(e.response.status_code), str(e)
                except (
                    OSError,
                    EOFError,
                    InvalidHandshake,
                    InvalidMessage,
                    ConnectionClosed,
                    asyncio.TimeoutError,
                ) as e:
                    code, reason = 1006, repr(e)
                self.closes.append(int(code))
                self.reasons.append(reason)
                if self.closing or code == 1000:
                    break
                if len(self.welcomes) > seen:
                    rows["credentials"] = 0  # 8.1b: they count as good with WELCOME
                    if time.monotonic() - self.welcomed >= LIVED:
                        tries, rows = 0, dict.fromkeys(rows, 0)
                self._judge(code, reason, rows)
                tries += 1
                await asyncio.sleep(self._pause(code, tries))
            raise Stopped(code, reason)
        except BaseException as e:  # Stopped, or cancelled by close(), or a mistake in this file
            self.stopped = stop = (
                e
                if isinstance(e, Stopped)
                else Stopped(1000, "closed") if self.closing else Stopped(0, repr(e))
            )
            for c in [*self.numbered.values(), *self.waiting]:
                c.resolve(error=Unknown(*stop.args) if c.maybe else stop)
            for s in self.subs:
                s._put("ended", name="stopped")
            self.closing = True

    def _refused_upgrade(self, status):
        """2.1: the close code that an upgrade's status is like; 0 stops the client."""
        if status == 401:
            return 4201
        if status == 403:
            return 4403
        lost = status in (408, 425, 429) or status >= 500 or self.welcomes
        return 1006 if lost else 4400

    def _judge(self, code, reason, rows):
        """What the table of 8.1 says about session and client. `rows` counts endings in a row."""
        kind = {1009: "too long", 4009: "too long", 4410: "wrong"}.get(code)
        if 4200 <= code <= 4299:
            kind = "credentials"  # token() gives new ones at the next dial
        if kind:
            rows[kind] += 1
        stops = 4300 <= code <= 4499 and code not in (4408, 4410)
        if stops or kind and rows[kind] >= 3:
            raise Stopped(code, reason)
        if 4100 <= code <= 4199 or code == 4410:
            self.session = None  # a new session with the old lease

    def _pause(self, code, tries):
        """Seconds before the dial that is number `tries` in a row (8.1a, 8.2)."""
        if self.after is not None:
            return self.after
        at_once = code in (4001, 4002, 4003, 4410) or 4200 <= code <= 4299
        longest = 1 if at_once else min(30, 2 ** min(tries - 1, 5))
        return random.uniform(0, min(self.backoff, longest))

    async def _attach(self):
        """One socket from dial to end: returns its close code."""
        self.ws = ws = await connect(
            self.url,
            subprotocols=[SUBPROTOCOL],
            ping_interval=None,
            compression=None,
            max_size=self.message_bytes,
            create_connection=Socket,
            open_timeout=10,
            close_timeout=1,
        )
        self.local, tasks = None, []
        try:
            if ws.subprotocol is None:
                raise Stopped(0, "something in between removed the subprotocol")  # 2.1
            hello = {
                "v": 1,
                "protocol": self.protocol,
                "version": self.version,
                "instance": INSTANCE,
                "dial": next(DIALS),
                "window": {"frames": self.window[0], "bytes": self.window[1]},
                "message_bytes": self.message_bytes,
            }
            if self.token() is not None:
                hello["token"] = self.token()
            if self.session:
                hello["resume"] = {
                    "session": self.session[0],
                    "token": self.session[1],
                    "recv": self.recv,
                }
            if self.lease:
                hello["lease"] = {"id": self.lease, "low": self._low(), "next": self.next}
            await ws.send(json.dumps([HELLO, hello]))
            await asyncio.wait_for(self._greeted(ws), 10)  # 4.1
            tasks = [
                asyncio.ensure_future(self._writer(ws)),
                asyncio.ensure_future(self._heartbeat(self.welcomes[-1]["heartbeat"])),
            ]
            while True:
                text = await ws.recv()
                frame = self._parse(text)
                if frame:
                    self._on(frame, len(text.encode()))
        except ConnectionClosed as e:
            # 2.7, 8.1a: the library itself closes with 1009 when a message is too long.
            if e.sent and not e.rcvd_then_sent and not self.local:
                self.local = (e.sent.code, e.sent.reason)
        except Broken as e:
            self.local = e.args
        except (KeyError, TypeError, AttributeError) as e:
            self.local = (4400, f"a frame lacks something: {e!r}")
        finally:
            self.up, self.draining = False, False
            for t in tasks:
                t.cancel()
            for s in self.subs:
                s._detached()  # 7.2: subscriptions end with the socket
            if self.local:
                await ws.close(self.local[0], self.local[1][:100])
            else:
                await ws.close()
        return self.local or (ws.close_code or 1006, ws.close_reason or "")

    async def _greeted(self, ws):
        while not self.up:
            frame = self._parse(await ws.recv())
            if frame is None or frame[0] in (PING, PONG):
                continue  # 4.1: nothing is sent before WELCOME, so PING has no answer here
            if frame[0] == RESUME_FAILED:
                self.session = None  # 4.10: WELCOME follows
            elif frame[0] == WELCOME:
                self._welcome(frame[1])
            else:
                raise Broken(4410, "expected WELCOME")  # 4.15

    def _parse(self, message):
        if not isinstance(message, str):
            raise Broken(4400, "binary message")  # 2.2
        return parse(message)

    def _welcome(self, w):
        if w["resumed"]:
            if (
                not self.session
                or w["session"] != self.session[0]
                or (w["lease"]["id"], w["lease"]["state"]) != (self.lease, "ok")
                or not self.acknowledged <= w["recv"] <= self.sent
            ):  # 4.15
                raise Broken(4410, "WELCOME resumes something else")
        else:  # 4.12
            self.sent = self.recv = self.acknowledged = 0
            self.replay, self.replay_bytes = {}, 0
            for c in self.numbered.values():
                c.seq = None  # 5.9: all of it goes out again
        if w["lease"]["id"] != self.lease:  # 5.1
            lost = [c for c in self.numbered.values() if c.maybe]
            self.waiting.extendleft(reversed([c for c in self.numbered.values() if not c.maybe]))
            self.numbered, self.next = {}, 1
            for c in self.waiting:
                c.n = None
            for c in lost:
                c.resolve(error=Unknown("the lease expired"))
        self.session, self.lease, self.limits = (w["session"], w["token"]), w["lease"]["id"], w
        self.up, self.draining, self.welcomed = True, False, time.monotonic()
        self.lines, self.owed, self.owed_bytes, self.ack_timer = deque(), 0, 0, None
        self._ack_now()  # 4.1: confirms the new token
        if w["resumed"]:
            self._acked(w["recv"])
        for c in self.replay.values():
            self._write(self._frame(c))  # 4.7
        for s in self.subs:
            self._subscribe(s)  # 7.2
        self.welcomes.append(w)
        self._pump()

    async def _writer(self, ws):
        while True:
            while self.lines:
                line = self.lines.popleft()
                if line is None:
                    return await ws.close(1000)
                try:
                    await ws.send(line)
                except ConnectionClosed:
                    return
            self.wake.clear()
            await self.wake.wait()

    def _write(self, frame, first=False):
        if not self.up:
            return
        (self.lines.appendleft if first else self.lines.append)(
            frame if isinstance(frame, str) else json.dumps(frame)
        )
        self.said = time.monotonic()
        self.wake.set()

    async def _heartbeat(self, hb):
        interval, timeout = max(1, hb["interval_ms"]) / 1000, max(1, hb["timeout_ms"]) / 1000
        heard, missed, ping = self.ws.heard, 0, 0.0
        while True:
            now = time.monotonic()
            if self.ws.heard != heard:
                heard, missed = self.ws.heard, 0
            due = ping + timeout if missed else heard + interval  # 9.1
            if now >= due and missed >= max(1, hb["missed"]):
                self.local = (4003, "missed heartbeats")
                return await self.ws.close(*self.local)
            if now >= due:
                self._write([PING, missed], first=True)
                missed, ping = missed + 1, now
            elif now >= self.said + interval:
                self._write([PING, missed], first=True)  # 9.3: not counted
            else:
                await asyncio.sleep(min(due, self.said + interval) - now)

    def _on(self, frame, size):
        kind, *f = frame
        if kind in (RESULT, FAILED, REFUSED):
            self._answer(kind, f, size)
        elif kind == ACK:
            self._acked(f[0])
            self._pump()
        elif kind == PING:
            self._write([PONG, f[0]], first=True)  # 9.2
        elif kind in (EVENT, SNAPSHOT, SKIP, TOPIC_VOLATILE):
            sub = next((s for s in self.subs if s.number == f[0]), None)
            if sub is None:
                return  # 7.10: unsubscribed, frames still on their way
            if kind != TOPIC_VOLATILE:
                sub._frame(kind, *f[1:], size=0 if kind == SKIP else size)
            elif len(sub.items) < 1000:
                sub._put("volatile", 0, *f[1:])
        elif kind in (SUBSCRIBED, UNSUBSCRIBED):
            sub = next((s for s in self.subs if s.sub == f[0]["sub"]), None)
            if sub is None:
                return
            if kind == SUBSCRIBED:
                return sub._subscribed(f[0])
            if f[0]["code"] in ("overload", "internal"):  # try again
                sub._detached()
                wait = f[0].get("retry_ms")
                asyncio.get_running_loop().call_later(
                    random.uniform(0.5, 1) if wait is None else wait / 1000, self._subscribe, sub
                )
            else:  # 7.10: final; what came before still belongs to the application
                sub.sub = sub.number = None
                self.subs.remove(sub)
                sub._put("ended", name=f[0]["code"])
        elif kind == GOAWAY:
            self.draining, self.after = True, f[0]["after_ms"] / 1000
        elif kind == WELCOME:
            raise Broken(4410, "WELCOME twice")  # 4.15
        elif kind != PONG:
            raise Broken(4400, f"kind {kind} out of place")

    def _subscribe(self, s):
        if not self.up or s.sub is not None or s not in self.subs:
            return
        s._asks(next(self.sub_ids))
        m = {
            "sub": s.sub,
            "topic": s.topic,
            "key": s.key,
            "credit": {"events": s.credit[0], "bytes": s.credit[1]},
        }
        if s.position:
            m["from"] = {"epoch": s.position[0], "ts": s.position[1]}
        self._write([SUBSCRIBE, m])

    def _answer(self, kind, f, size):
        seq, ack, n = f[:3]
        if seq != self.recv + 1:
            raise Broken(4410, f"seq {seq} after {self.recv}")  # 4.2
        self._acked(ack)
        c = self.numbered.get(n)  # None: resolved before
        if c and kind == REFUSED and f[3] in RETRY:  # 5.10: not executed; the same n goes again
            c.seq, c.maybe, c.not_before = None, False, time.monotonic() + f[4] / 1000
        elif c:
            del self.numbered[n]
            if kind == REFUSED:
                c.resolve(error=Refused(f[3]))
            else:
                self.dups += f[3]
                try:
                    body = json.loads(f[-1])
                except ValueError:
                    body, kind, f = f[-1], FAILED, [*f[:4], "internal", "", f[-1]]
                if kind == RESULT:
                    c.resolve(body)
                elif f[4] == "unknown":
                    c.resolve(error=Unknown("says the server"))
                else:
                    code = f[4] if f[4] in ("error", "timeout") else "internal"  # 5.7
                    c.resolve(error=Failed(code, f[5], body))
        self.recv, self.owed, self.owed_bytes = (
            seq,
            self.owed + 1,
            self.owed_bytes + size,
        )  # 4.3: accepted
        if self.owed >= min(32, self.window[0] / 2) or self.owed_bytes >= self.window[1] / 2:
            self._ack_now()  # 4.5
        elif not self.ack_timer:
            self.ack_timer = asyncio.get_running_loop().call_later(0.25, self._ack_now)
        self._pump()

    def _low(self):
        return next(iter(self.numbered), self.next)  # 5.4 (insertion order is the order of n)

    def _ack_now(self):
        self._carried()
        self._write([ACK, self.recv, self._low()])

    def _carried(self):
        if self.ack_timer:
            self.ack_timer.cancel()
        self.owed, self.owed_bytes, self.ack_timer = 0, 0, None

    def _acked(self, ack):
        if ack > self.sent:
            raise Broken(4410, "ack of what was never sent")  # 4.4
        self.acknowledged = max(self.acknowledged, ack)
        for seq in [s for s in self.replay if s <= ack]:
            self.replay_bytes -= len(self.replay.pop(seq).body)

    def _frame(self, c):
        head = [COMMAND, c.seq, self.recv, c.n, max(0, c.n - self._low())]
        if c.deadline is not None:
            head = [
                COMMAND_DEADLINE,
                *head[1:],
                max(0, math.ceil(1000 * (c.deadline - time.monotonic()))),
            ]
        return json.dumps(head + [c.name])[:-1] + "," + c.body + "]"

    def _fits(self, c):
        """With room for the longest head, so that a command that fits does so each time (5.19)."""
        return len(c.body) + len(c.name) + 120 <= self.limits["frame_bytes"]

    def _pump(self):
        """Send what may be sent: first commands that are sent again, in the order of n (5.9, 5.11),
        then new ones."""
        if not self.up:
            return
        for c in [*(c for c in self.numbered.values() if c.seq is None), *self.waiting]:
            wait, size = c.not_before - time.monotonic(), len(c.body)
            if self.draining:
                return  # 8.2
            if wait > 0:
                asyncio.get_running_loop().call_later(wait, self._pump)
                return
            if c.n is not None and not self._fits(c):  # 5.19: sent under a larger limit
                del self.numbered[c.n]
                c.resolve(error=Unknown("too large by now") if c.maybe else Refused("too_large"))
                continue
            limit = self.limits["window"]
            if self.replay and (
                len(self.replay) >= limit["frames"] or self.replay_bytes + size > limit["bytes"]
            ):
                return  # 4.6
            if c.n is None:
                if self.next - self._low() >= self.limits["lease"]["span"]:
                    return  # 5.3
                self.waiting.remove(c)
                if not self._fits(c):  # 2.3: it would cost the socket
                    c.resolve(error=Refused("too_large"))
                    continue
                c.n, self.next = self.next, self.next + 1
                self.numbered[c.n] = c
            self.sent += 1
            c.seq, c.maybe, self.replay[self.sent] = self.sent, True, c
            self.replay_bytes += size
            self._carried()  # the head carries the ack
            self._write(self._frame(c))
