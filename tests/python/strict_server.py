"""A small, strict chat server for the tests of steadfast_client.py, written from PROTOCOL.md, too.

It keeps everything in memory and checks what the client sends: frames, sequences, acks, windows,
order, leases, CANCEL. Each rule that the client breaks is noted in `server.wrong`, which every test
expects to be empty. What concerns topics is in strict_topics.py, sessions in strict_session.py,
commands in strict_commands.py, and 5.23 to 5.25 in strict_leases.py.
"""

import asyncio, json, traceback
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from frames import ACK, CANCEL, COMMAND, COMMAND_DEADLINE, DIRECT, GOAWAY, HELLO, LEASE, PING, PONG
from frames import POSITION, RESUME_FAILED, SUBSCRIBE, UNSUBSCRIBE, VOLATILE, WELCOME
from frames import FROM_CLIENT, Broken, parse
from strict_leases import Claim, Leases
from strict_rules import Wrong, check
from strict_session import WINDOW, Session
from strict_topics import Followed

HELLO_BYTES, FRAME_BYTES = 65536, 65536  # 2.3


class Server:
    all = []

    def __init__(self, retain=50, frames=8, span=16, heartbeat=(200, 100, 2), delay=0.0):
        self.retain, self.frames, self.heartbeat, self.delay = retain, frames, heartbeat, delay
        self.span, self.leases = span, Leases(span)
        self.grant, self.positions = None, []  # 7.14: the credit granted; POSITIONs that came
        self.sessions, self.rooms, self.sockets, self.hellos = {}, {}, set(), []
        self.wrong, self.executed, self.cancels = [], [], []
        self.refusals = []  # code and retry_ms for the next commands
        self.reject = None  # the code that answers HELLO
        self.may_welcome = asyncio.Event()  # cleared: HELLO is not answered yet
        self.may_begin = asyncio.Event()  # cleared: no command begins yet
        self.may_welcome.set(), self.may_begin.set()
        self.may_finish = asyncio.Event()  # set: a command `wait` ends
        self.before_welcome = None  # a frame that comes before it should
        self.mute = self.lose_welcome = False
        self.skip_next = 0

    async def __aenter__(self):
        Server.all[:] = [self]
        self.server = await serve(
            self.socket,
            "127.0.0.1",
            0,
            subprotocols=["steadfast.v1.json"],
            ping_interval=None,
            close_timeout=0.5,
        )
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_):
        self.leases.end()
        self.server.close()

    async def socket(self, ws):
        sock = Socket(self, ws)
        try:
            await sock.run()
            if ws.close_code == 1000 and sock.session and sock.session.socket is sock:
                if sock.session.lease:
                    sock.session.lease.commands.check_cancelled(sock)
        except Wrong as e:
            self.wrong.append(str(e))
            await ws.close(4410, str(e))
        except Broken as e:
            self.wrong.append(f"{e.args[0]} {e.args[1]}")
            await ws.close(*e.args)
        except ConnectionClosed:
            pass
        except Exception:
            self.wrong.append(traceback.format_exc())
            await ws.close(1011)
        finally:
            self.sockets.discard(sock)
            if sock.session and sock.session.socket is sock:
                sock.session.socket = None
                if ws.close_code == 1000:
                    self.sessions.pop(sock.session.id, None)

    def forget_sessions(self):
        for session in self.sessions.values():
            session.token = session.old = None
        self.sessions.clear()

    async def direct(self, principal, name, body):
        """A direct message to each session of a user (4.16); a body that is text goes as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        for session in [s for s in self.sessions.values() if s.principal == principal]:
            if len(text.encode()) + 100 <= session.message_bytes:
                await session.send(DIRECT, [name], text)

    async def publish(self, key):
        for sock in list(self.sockets):
            for sub in list(sock.topics.subs.values()):
                if sub["key"] == key:
                    try:
                        await sock.topics.feed(sub)
                    except ConnectionClosed:
                        pass

    async def close_all(self, code, goaway=None):
        for s in list(self.sockets):
            if goaway is not None:
                await s.send([GOAWAY, {"after_ms": goaway, "deadline_ms": 1000}])
            await s.ws.close(code)


class Socket:
    def __init__(self, server, ws):
        self.server, self.ws, self.session, self.got = server, ws, None, []
        self.topics = Followed(self)
        self.sending, self.replayed = asyncio.Lock(), False
        self.left = False  # GOAWAY was sent
        self.cancels = set()  # the n of which CANCEL came here

    async def send(self, frame, body=None):
        text = json.dumps(frame)
        if body is not None:
            text = text[:-1] + " ," + body + "]"
        self.left = self.left or frame[0] == GOAWAY
        if frame[0] == PING and self.session:
            self.session.pinged(frame[1])
        async with self.sending:
            await self.ws.send(text)  # fair: frames leave in the order of the calls
        return len(text.encode())

    def read(self, message, limit):
        check("2.2 a text message", isinstance(message, str))
        check(f"2.3 {len(message)} bytes", len(message.encode()) <= limit)
        return parse(message, FROM_CLIENT)

    async def run(self):
        server = self.server
        h = self.hello(self.read(await self.ws.recv(), HELLO_BYTES))
        early = asyncio.ensure_future(self.ws.recv())
        try:
            await server.may_welcome.wait()
            if server.before_welcome:
                await self.send(server.before_welcome)
            if server.reject:
                return await self.ws.close(server.reject)
            if not await self.welcome(h, early):
                return
            server.sockets.add(self)
            await self.claim.welcomed()
            if h.get("resume"):
                await self.session.send_again(h["resume"]["recv"] if self.resumed_here else 0)
            self.replayed = True
            await self.session.flow()
            await self.frame(await early)
        finally:
            early.cancel()
        async for message in self.ws:
            await self.frame(message)

    def hello(self, frame):
        check("4.1 first frame is HELLO", frame and frame[0] == HELLO)
        h = frame[1]
        check("4.1 version", h["v"] == 1)
        check("4.1 protocol and version", (h["protocol"], h["version"]) == ("chat", "1.0"))
        check("4.9 dial", h["dial"] >= 1)
        check("2.6 message_bytes", "message_bytes" in h)
        self.claim = Claim(self, h)
        self.server.hellos.append(h)
        return h

    async def welcome(self, h, early):
        """Answer HELLO. False if the answer is lost."""
        server, lease = self.server, self.server.leases.named(h)
        s = await self.resumed(h, lease) if h.get("resume") else None
        self.resumed_here = resumed = s is not None
        if s is None:
            s = Session(server, h["token"])
            server.sessions[s.id] = s
        s.message_bytes = h["message_bytes"]
        s.welcome(s.lease if resumed else lease, self, h)
        self.session = s
        if server.lose_welcome:
            server.lose_welcome = False
            self.ws.transport.abort()
            return False
        w = {
            "session": s.id,
            "token": s.token,
            "gen": s.gen,
            "resumed": resumed,
            "recv": s.tells(),
            "ttl_ms": 60000,
            "more": 1,
            "frame_bytes": FRAME_BYTES,
            "window": {"frames": server.frames, **WINDOW},
            "heartbeat": dict(zip(("interval_ms", "timeout_ms", "missed"), server.heartbeat)),
            **await self.claim.welcome(s, resumed),
        }
        await self.send([200, "to be ignored"])
        lost = early.done() and early.exception()
        check("4.1 nothing before WELCOME", not early.done() or lost)
        await self.send([WELCOME, w])
        return True

    async def resumed(self, h, lease):
        """The session that HELLO resumes, or None after RESUME_FAILED (4.10)."""
        r = h["resume"]
        s = self.server.sessions.get(r["session"])
        if s is None or r["token"] not in (s.token, s.old):
            await self.send([RESUME_FAILED, {"reason": "unknown"}])
            return None
        check("4.9 dial", h["dial"] > s.dials.get(h["instance"], 0))
        check("4.7 recv of resume", s.acked_to <= r["recv"] <= s.sent)
        self.claim.check_resume(s)
        if h.get("lease") and lease is not s.lease:
            await self.send([RESUME_FAILED, {"reason": "not_retained"}])
            return None
        if s.socket:
            await s.socket.ws.close(4002)
        return s

    async def frame(self, message):
        s = self.session
        if s.socket is not self:
            return  # 4.14
        f = self.read(message, FRAME_BYTES)
        s.confirmed, s.old = True, None
        self.claim.frame()
        if f is None:
            return
        self.got.append(json.loads(message))
        if not self.server.mute:
            await self.on(f)

    def low(self, low):
        lease = self.session.lease
        if lease is None:
            return check("5.4 low without a lease", low == 1)
        lease.commands.low_is(low)

    async def on(self, f):
        kind, s = f[0], self.session
        if kind == ACK:
            s.forget(f[1])
            self.low(f[2])
            await s.flow()
        elif kind in (COMMAND, COMMAND_DEADLINE):
            await self.command(f)
        elif kind == CANCEL:
            check("5.27 CANCEL before a lease", self.claim.told)
            await s.lease.commands.cancel(self, f[1])
        elif kind == POSITION:
            await self.topics.position(f)
        elif kind == PING:
            await self.send([PONG, f[1]])
        elif kind == PONG:
            s.ponged(f[1])
        elif kind == SUBSCRIBE:
            await self.topics.subscribe(f[1])
        elif kind == UNSUBSCRIBE:
            self.topics.leave(f[1])
        elif kind == LEASE:
            await self.claim.asked(f)
        elif kind == VOLATILE:
            check("3.5 a body is an object", type(json.loads(f[2])) is dict)
        else:
            check(f"4.1 kind {kind} in its place", False)

    async def command(self, f):
        """COMMAND"""
        self.claim.command()
        deadline_ms = f.pop(5) if f[0] == COMMAND_DEADLINE else None
        _, seq, ack, n, back, name, body = f
        s = self.session
        s.takes(seq, len(body.encode()))
        s.forget(ack)
        await s.lease.commands.came(self, n, n - back, deadline_ms, name, body)
        await s.flow()
