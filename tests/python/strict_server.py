"""A small, strict chat server for the tests of steadfast_client.py, written from PROTOCOL.md, too.

It keeps everything in memory and checks what the client sends: sequences, acks, windows, order.
Each rule that the client breaks is noted in `server.wrong`, which every test expects to be empty.
"""

import asyncio, json, secrets, traceback
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


class Wrong(Exception):
    pass


def check(rule, ok):
    if not ok:
        raise Wrong(rule)


class Session:
    def __init__(self, principal, lease):
        self.id, self.token, self.old, self.gen, self.principal, self.lease = (
            secrets.token_hex(16),
            None,
            None,
            0,
            principal,
            lease,
        )
        self.recv, self.sent, self.replay, self.dials, self.socket, self.seq_of, self.confirmed = (
            0,
            0,
            {},
            {},
            None,
            {},
            True,
        )


class Lease:
    def __init__(self, principal):
        self.id, self.principal, self.low, self.records, self.bodies, self.barrier = (
            secrets.token_hex(16),
            principal,
            1,
            {},
            {},
            None,
        )


class Topic:
    def __init__(self):
        self.epoch, self.messages = secrets.token_hex(8), []

    def body(self, ts, room):
        i, f, t = self.messages[ts - 1]
        return {"room": room, "id": i, "from": f, "text": t}


class Server:
    def __init__(self, retain=50, frames=8, span=16, heartbeat=(200, 100, 2), delay=0.0):
        self.retain, self.frames, self.span, self.heartbeat, self.delay = (
            retain,
            frames,
            span,
            heartbeat,
            delay,
        )
        self.grant, self.positions = None, []  # 7.14: the credit granted; POSITIONs that came
        self.running = (
            asyncio.Lock()
        )  # commands run one at a time; one that comes again waits here and finds the record (5.8)
        (
            self.sessions,
            self.leases,
            self.rooms,
            self.sockets,
            self.hellos,
            self.wrong,
            self.executed,
        ) = ({}, {}, {}, set(), [], [], [])
        self.refusals, self.reject, self.mute, self.lose_welcome, self.skip_next = (
            [],
            None,
            False,
            False,
            0,
        )

    all = []

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

    async def close_all(self, code, goaway=None):
        for s in list(self.sockets):
            if goaway is not None:
                await s.send([27, {"after_ms": goaway, "deadline_ms": 1000}])
            await s.ws.close(code)


class Socket:
    def __init__(self, server, ws):
        self.server, self.ws, self.session, self.subs, self.got = server, ws, None, {}, []
        self.sending, self.replayed = asyncio.Lock(), False

    async def send(self, frame, body=None):
        text = json.dumps(frame)
        if body is not None:
            text = text[:-1] + " ," + body + "]"
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
        server, ws = self.server, self.ws
        kind, h = json.loads(await ws.recv())
        check(
            "4.1 first frame is HELLO",
            kind == 20 and h["v"] == 1 and (h["protocol"], h["version"]) == ("chat", "1.0"),
        )
        check("2.6 message_bytes", type(h.get("message_bytes")) is int)
        server.hellos.append(h)
        if server.reject:
            return await ws.close(server.reject)
        lease = server.leases.get(h.get("lease", {}).get("id"))
        state = "ok"
        if not lease or lease.principal != h["token"]:
            lease, state = Lease(h["token"]), "new"
            server.leases[lease.id] = lease
        elif h["lease"]["low"] > lease.low:
            lease.low = h["lease"]["low"]
        r, s = h.get("resume"), None
        if r:
            s = server.sessions.get(r["session"])
            if s and r["token"] not in (s.token, s.old):
                s = None
            if s:
                check("4.9 dial", h["dial"] > s.dials.get(h["instance"], 0))
                check("recv of resume", r["recv"] <= s.sent)
                if s.socket:
                    await s.socket.ws.close(4002)
            else:
                await self.send([22, {"reason": "unknown"}])
        resumed = s is not None
        if not s:
            s = Session(h["token"], lease)
            server.sessions[s.id] = s
        s.dials[h["instance"]] = h["dial"]
        if s.confirmed:
            s.old = s.token
        s.token, s.gen, s.confirmed, s.lease, self.session, s.socket = (
            secrets.token_hex(16),
            s.gen + 1,
            False,
            lease,
            s,
            self,
        )
        if server.lose_welcome:
            server.lose_welcome = False
            return ws.transport.abort()
        hb = dict(zip(("interval_ms", "timeout_ms", "missed"), server.heartbeat))
        await self.send([200, "to be ignored"])
        await self.send(
            [
                21,
                {
                    "session": s.id,
                    "token": s.token,
                    "gen": s.gen,
                    "resumed": resumed,
                    "recv": s.recv,
                    "ttl_ms": 60000,
                    "more": 1,
                    "frame_bytes": 65536,
                    "window": {"frames": server.frames, "bytes": 4096},
                    "heartbeat": hb,
                    "lease": {"id": lease.id, "state": state, "span": server.span, "ttl_ms": 60000},
                },
            ]
        )
        server.sockets.add(self)
        if resumed:
            for q in [q for q in s.replay if q <= r["recv"]]:
                del s.replay[q]
            while q := min((q for q in s.replay if q > r["recv"]), default=0):
                kind, n, rest, body = s.replay[q]
                r["recv"] = q
                await self.send([kind, q, s.recv, n, *rest], body)
        self.replayed = True
        self.unanswered = 0
        async for text in ws:
            if s.socket is not self:
                continue
            s.confirmed, s.old = True, None
            f = json.loads(text)
            self.got.append(f)
            if server.mute:
                continue
            await self.on(f, text)

    def acked(self, ack):
        s = self.session
        check("4.4 ack", ack <= s.sent)
        for q in [q for q in s.replay if q <= ack]:
            del s.replay[q]

    def low(self, low):
        lease = self.session.lease
        lease.low = max(lease.low, low)

    async def on(self, f, text):
        s, server = self.session, self.server
        if f[0] == 0:
            self.acked(f[1])
            check("5.4 low", f[2] <= max(s.lease.records, default=0) + 1 or s.lease.barrier)
            self.low(f[2])
        elif f[0] in (1, 2):
            if f[0] == 2:
                check("5.13", type(f.pop(5)) is int)
            _, seq, ack, n, back, name, body = f
            check(f"4.2 seq {seq} after {s.recv}", seq == s.recv + 1)
            self.acked(ack)
            self.low(n - back)
            check("5.3 span", n - s.lease.low < server.span)
            s.recv, s.seq_of[n] = seq, seq
            async with server.running:
                await self.command(
                    n, name, body, text[text.index('"' + name + '"') + len(name) + 3 :]
                )
        elif f[0] == 8:
            sub = self.subs.get(f[1])
            if not sub:
                return
            check(
                "7.16 position within what was sent",
                f[2] <= sub["sent"]
                and f[3] <= sub["bytes"]
                and (f[2] > sub["position"][0] or f[3] > sub["position"][1]),
            )
            sub["position"] = (max(f[2], sub["position"][0]), max(f[3], sub["position"][1]))
            self.server.positions.append(f[2:])
            await self.feed(sub)
        elif f[0] == 12:
            await self.send([13, f[1]])
        elif f[0] == 23:
            await self.subscribe(f[1])
        elif f[0] == 25:
            self.subs = {k: v for k, v in self.subs.items() if v["sub"] != f[1]["sub"]}
        else:
            check(f"kind {f[0]} from a client", f[0] in (6, 13))

    async def command(self, n, name, body, raw):
        s, server, lease = self.session, self.server, self.session.lease
        if n in lease.records:
            check("5.8 same bytes", lease.bodies[n] == raw)
            kind, rest, reply = lease.records[n]
            return await self.sequenced(kind, n, [1, *rest], reply)
        if lease.barrier and n > lease.barrier[0]:
            return await self.sequenced(9, n, list(lease.barrier[1:]))
        lease.barrier = None
        if server.refusals:
            code, retry_ms = server.refusals.pop(0)
            if code in ("draining", "overload", "rate_limited"):
                lease.barrier = (n, code, retry_ms)
            else:
                lease.records[n] = (4, ["unknown", ""], "{}")
            lease.bodies[n] = raw
            return await self.sequenced(9, n, [code, retry_ms])
        check(
            f"5.5 order: {n} after {max(lease.records, default=0)}",
            n == max(lease.records, default=0) + 1,
        )
        if server.delay:
            await asyncio.sleep(server.delay)
        lease.bodies[n] = raw
        if name == "fail":
            record = (4, ["error", "no_such_room"], '{"room":"x"}')
        elif name == "reuse":
            record = (4, ["id_reused", ""], "{}")
        elif name == "odd":
            record = (3, [], "{broken")
        else:
            room = server.rooms.setdefault(body["room"], Topic())
            room.messages.append((f"id-{secrets.token_hex(4)}", s.principal, body["text"]))
            record = (3, [], json.dumps(room.messages[-1][0]))
        lease.records[n] = record
        server.executed.append((n, body))
        if record[0] == 3 and record[2] != "{broken":
            for sock in list(server.sockets):
                for sub in list(sock.subs.values()):
                    if sub["key"] == body["room"]:
                        try:
                            await sock.feed(sub)
                        except ConnectionClosed:
                            pass
        try:
            await self.sequenced(record[0], n, [0, *record[1]], record[2])
        except ConnectionClosed:
            pass

    async def subscribe(self, m):
        check("7.3 sub unique", all(v["sub"] != m["sub"] for v in self.subs.values()))
        if m["topic"] != "room":
            return await self.send([26, {"sub": m["sub"], "code": "unsupported"}])
        room, frm, number = (
            self.server.rooms.setdefault(m["key"], Topic()),
            m.get("from"),
            len(self.subs) + 1,
        )
        head = len(room.messages)
        reset = (
            "initial"
            if not frm
            else (
                "epoch"
                if frm["epoch"] != room.epoch
                else (
                    "ahead"
                    if frm["ts"] > head
                    else "trimmed" if head - frm["ts"] > self.server.retain else None
                )
            )
        )
        start = frm["ts"] if reset is None else head
        sub = self.subs[number] = {
            "sub": m["sub"],
            "number": number,
            "key": m["key"],
            "credit": self.server.grant or m["credit"],
            "sent": start,
            "bytes": 0,
            "position": (start, 0),
        }
        await self.send(
            [
                24,
                {
                    "sub": m["sub"],
                    "number": number,
                    "epoch": room.epoch,
                    "ts": start,
                    "head": head,
                    "snapshot": reset is not None,
                    **({"reset": reset} if reset else {}),
                    **({"credit": self.server.grant} if self.server.grant else {}),
                },
            ]
        )
        if reset:
            messages = [{"id": i, "from": f, "text": t} for i, f, t in room.messages]
            sub["bytes"] += await self.send(
                [10, number, start, "history"], json.dumps({"room": m["key"], "messages": messages})
            )
        await self.feed(sub)

    async def feed(self, sub):
        room = self.server.rooms[sub["key"]]
        while sub["sent"] < len(room.messages):
            if (
                sub["sent"] + 1 > sub["position"][0] + sub["credit"]["events"]
                or sub["bytes"] - sub["position"][1] >= sub["credit"]["bytes"]
            ):
                return
            if self.server.skip_next:
                sub["sent"], self.server.skip_next = sub["sent"] + 1, self.server.skip_next - 1
                await self.send([11, sub["number"], sub["sent"]])
                continue
            sub["sent"] += 1
            text = json.dumps(
                [5, sub["number"], sub["sent"], "posted", room.body(sub["sent"], sub["key"])]
            )
            sub["bytes"] += len(text)
            async with self.sending:
                await self.ws.send(text)
