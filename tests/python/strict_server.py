"""A small, strict chat server for the tests of steadfast_client.py, written from PROTOCOL.md, too.

It keeps everything in memory and checks what the client sends: sequences, acks, windows, order,
leases. Each rule that the client breaks is noted in `server.wrong`, which every test expects to be
empty. What concerns topics is in strict_topics.py, and 5.23 to 5.25 in strict_leases.py.
"""

import asyncio, json, secrets, traceback
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from strict_leases import Claim, Leases
from strict_rules import Wrong, check
from strict_topics import Followed, Topic


class Session:
    def __init__(self, principal):
        self.id, self.principal, self.gen = secrets.token_hex(16), principal, 0
        self.token = self.old = None  # 4.8: the current one, and the last one that was confirmed
        self.confirmed = True
        self.lease = None
        self.asking = self.heard = False  # 5.25: the lease was asked for; the client knows it
        self.recv = self.sent = 0
        self.replay, self.dials, self.socket = {}, {}, None

    def welcome(self, lease, sock, hello):
        """A new attachment: its token is another one (4.8)."""
        self.dials[hello["instance"]] = hello["dial"]
        if self.confirmed:
            self.old = self.token
        self.token, self.confirmed, self.gen = secrets.token_hex(16), False, self.gen + 1
        self.lease, self.socket = lease, sock


class Server:
    all = []

    def __init__(self, retain=50, frames=8, span=16, heartbeat=(200, 100, 2), delay=0.0):
        self.retain, self.frames, self.heartbeat, self.delay = retain, frames, heartbeat, delay
        self.span, self.leases = span, Leases(span)
        self.grant, self.positions = None, []  # 7.14: the credit granted; POSITIONs that came
        # Commands run one at a time; one that comes again waits here and finds the record (5.8).
        self.running = asyncio.Lock()
        self.sessions, self.rooms, self.sockets, self.hellos = {}, {}, set(), []
        self.wrong, self.executed = [], []
        self.refusals = []  # code and retry_ms for the next commands
        self.reject = None  # the code that answers HELLO
        self.may_welcome = asyncio.Event()  # cleared: HELLO is not answered yet
        self.may_welcome.set()
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
        except Wrong as e:
            self.wrong.append(str(e))
            await ws.close(4410, str(e))
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

    async def close_all(self, code, goaway=None):
        for s in list(self.sockets):
            if goaway is not None:
                await s.send([27, {"after_ms": goaway, "deadline_ms": 1000}])
            await s.ws.close(code)


class Socket:
    def __init__(self, server, ws):
        self.server, self.ws, self.session, self.got = server, ws, None, []
        self.topics = Followed(self)
        self.sending, self.replayed = asyncio.Lock(), False
        self.left = False  # GOAWAY was sent

    async def send(self, frame, body=None):
        text = json.dumps(frame)
        if body is not None:
            text = text[:-1] + " ," + body + "]"
        self.left = self.left or frame[0] == 27
        async with self.sending:
            await self.ws.send(text)  # fair: frames leave in the order of the calls
        return len(text.encode())

    async def sequenced(self, kind, n, rest, body=None):
        s = self.session
        s.sent += 1
        s.replay[s.sent] = (kind, n, rest, body)
        if s.socket and s.socket.replayed:
            await s.socket.send([kind, s.sent, s.recv, n, *rest], body)

    async def run(self):
        server = self.server
        h = self.hello(json.loads(await self.ws.recv()))
        await server.may_welcome.wait()
        if server.before_welcome:
            await self.send(server.before_welcome)
        if server.reject:
            return await self.ws.close(server.reject)
        if not await self.welcome(h):
            return
        server.sockets.add(self)
        await self.claim.welcomed()
        if h.get("resume"):
            await self.replay(h["resume"]["recv"])
        self.replayed = True
        async for text in self.ws:
            if self.session.socket is self:
                await self.frame(json.loads(text), text)

    def hello(self, frame):
        kind, h = frame
        check("4.1 first frame is HELLO", kind == 20 and h["v"] == 1)
        check("4.1 protocol and version", (h["protocol"], h["version"]) == ("chat", "1.0"))
        check("2.6 message_bytes", type(h.get("message_bytes")) is int)
        self.claim = Claim(self, h)
        self.server.hellos.append(h)
        return h

    async def welcome(self, h):
        """Answer HELLO. False if the answer is lost."""
        server, lease = self.server, self.server.leases.named(h)
        s = await self.resumed(h, lease) if h.get("resume") else None
        resumed = s is not None
        if s is None:
            s = Session(h["token"])
            server.sessions[s.id] = s
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
            "recv": s.recv,
            "ttl_ms": 60000,
            "more": 1,
            "frame_bytes": 65536,
            "window": {"frames": server.frames, "bytes": 4096},
            "heartbeat": dict(zip(("interval_ms", "timeout_ms", "missed"), server.heartbeat)),
            **await self.claim.welcome(s, resumed),
        }
        await self.send([200, "to be ignored"])
        await self.send([21, w])
        return True

    async def resumed(self, h, lease):
        """The session that HELLO resumes, or None after RESUME_FAILED (4.10)."""
        r = h["resume"]
        s = self.server.sessions.get(r["session"])
        if s is None or r["token"] not in (s.token, s.old):
            await self.send([22, {"reason": "unknown"}])
            return None
        check("4.9 dial", h["dial"] > s.dials.get(h["instance"], 0))
        check("recv of resume", r["recv"] <= s.sent)
        self.claim.check_resume(s)
        if h.get("lease") and lease is not s.lease:
            await self.send([22, {"reason": "not_retained"}])
            return None
        if s.socket:
            await s.socket.ws.close(4002)
        return s

    async def replay(self, recv):
        """4.7: send again what is above `recv`."""
        s = self.session
        for q in [q for q in s.replay if q <= recv]:
            del s.replay[q]
        while q := min((q for q in s.replay if q > recv), default=0):
            kind, n, rest, body = s.replay[q]
            recv = q
            await self.send([kind, q, s.recv, n, *rest], body)

    async def frame(self, f, text):
        s = self.session
        s.confirmed, s.old = True, None
        self.claim.frame()
        self.got.append(f)
        if not self.server.mute:
            await self.on(f, text)

    def acked(self, ack):
        s = self.session
        check("4.4 ack", ack <= s.sent)
        for q in [q for q in s.replay if q <= ack]:
            del s.replay[q]

    def low(self, low):
        lease = self.session.lease
        if lease is None:
            return check("5.4 low without a lease", low == 1)
        lease.low = max(lease.low, low)

    async def on(self, f, text):
        if f[0] == 0:
            self.acked(f[1])
            lease = self.session.lease
            if lease:
                check("5.4 low", f[2] <= max(lease.records, default=0) + 1 or lease.barrier)
            self.low(f[2])
        elif f[0] in (1, 2):
            await self.sent(f, text)
        elif f[0] == 8:
            await self.topics.position(f)
        elif f[0] == 12:
            await self.send([13, f[1]])
        elif f[0] == 23:
            await self.topics.subscribe(f[1])
        elif f[0] == 25:
            self.topics.leave(f[1])
        elif f[0] == 28:
            await self.claim.asked(f)
        else:
            check(f"kind {f[0]} from a client", f[0] in (6, 13))

    async def sent(self, f, text):
        """COMMAND"""
        self.claim.command()
        if f[0] == 2:
            check("5.13", type(f.pop(5)) is int)
        _, seq, ack, n, back, name, body = f
        s = self.session
        check(f"4.2 seq {seq} after {s.recv}", seq == s.recv + 1)
        self.acked(ack)
        self.low(n - back)
        check("5.3 span", n - s.lease.low < self.server.span)
        s.recv = seq
        raw = text[text.index('"' + name + '"') + len(name) + 3 :]
        async with self.server.running:
            await self.command(n, name, body, raw)

    async def command(self, n, name, body, raw):
        lease = self.session.lease
        if n in lease.records:
            check("5.8 same bytes", lease.bodies[n] == raw)
            kind, rest, reply = lease.records[n]
            return await self.sequenced(kind, n, [1, *rest], reply)
        if lease.barrier and n > lease.barrier[0]:
            return await self.sequenced(9, n, list(lease.barrier[1:]))
        lease.barrier = None
        if self.server.refusals:
            return await self.refuse(n, raw, *self.server.refusals.pop(0))
        last = max(lease.records, default=0)
        check(f"5.5 order: {n} after {last}", n == last + 1)
        if self.server.delay:
            await asyncio.sleep(self.server.delay)
        lease.bodies[n] = raw
        lease.records[n] = record = self.execute(name, body)
        self.server.executed.append((n, body))
        if name == "post":
            await self.publish(body["room"])
        try:
            await self.sequenced(record[0], n, [0, *record[1]], record[2])
        except ConnectionClosed:
            pass

    async def refuse(self, n, raw, code, retry_ms):
        lease = self.session.lease
        if code in ("draining", "overload", "rate_limited"):
            lease.barrier = (n, code, retry_ms)
        else:
            lease.records[n] = (4, ["unknown", ""], "{}")
        lease.bodies[n] = raw
        await self.sequenced(9, n, [code, retry_ms])

    def execute(self, name, body):
        if name == "fail":
            return 4, ["error", "no_such_room"], '{"room":"x"}'
        if name == "reuse":
            return 4, ["id_reused", ""], "{}"
        if name == "odd":
            return 3, [], "{broken"
        room = self.server.rooms.setdefault(body["room"], Topic())
        room.messages.append((f"id-{secrets.token_hex(4)}", self.session.principal, body["text"]))
        return 3, [], json.dumps(room.messages[-1][0])

    async def publish(self, key):
        for sock in list(self.server.sockets):
            for sub in list(sock.topics.subs.values()):
                if sub["key"] == key:
                    try:
                        await sock.topics.feed(sub)
                    except ConnectionClosed:
                        pass
