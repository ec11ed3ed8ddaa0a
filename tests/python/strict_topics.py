"""Topics of the strict server, and the rules of section 7 at one socket."""

import itertools, json, secrets
from strict_rules import check


class Topic:
    def __init__(self):
        self.epoch, self.messages = secrets.token_hex(8), []

    def body(self, ts, room):
        i, f, t = self.messages[ts - 1]
        return {"room": room, "id": i, "from": f, "text": t}


class Followed:
    """The subscriptions of one socket."""

    def __init__(self, sock):
        self.sock, self.server, self.subs = sock, sock.server, {}  # by the topic's number
        self.used, self.numbers = set(), itertools.count(1)

    async def position(self, f):
        """POSITION"""
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

    def leave(self, m):
        """UNSUBSCRIBE"""
        for number in [k for k, v in self.subs.items() if v["sub"] == m["sub"]]:
            del self.subs[number]

    async def subscribe(self, m):
        """SUBSCRIBE"""
        check("7.3 sub unique", m["sub"] not in self.used)
        self.used.add(m["sub"])
        if m["topic"] != "room":
            return await self.sock.send([26, {"sub": m["sub"], "code": "unsupported"}])
        room = self.server.rooms.setdefault(m["key"], Topic())
        head, number = len(room.messages), next(self.numbers)
        reset = self.reset(room, m.get("from"))
        start = head if reset else m["from"]["ts"]
        grant = self.server.grant
        sub = self.subs[number] = {
            "sub": m["sub"],
            "number": number,
            "key": m["key"],
            "credit": grant or m["credit"],
            "sent": start,
            "bytes": 0,
            "position": (start, 0),
        }
        answer = {
            "sub": m["sub"],
            "number": number,
            "epoch": room.epoch,
            "ts": start,
            "head": head,
            "snapshot": reset is not None,
            **({"reset": reset} if reset else {}),
            **({"credit": grant} if grant else {}),
        }
        await self.sock.send([24, answer])
        if reset:
            messages = [{"id": i, "from": f, "text": t} for i, f, t in room.messages]
            body = json.dumps({"room": m["key"], "messages": messages})
            sub["bytes"] += await self.sock.send([10, number, start, "history"], body)
        await self.feed(sub)

    def reset(self, room, since):
        """7.5: why what the client has can't be continued, or None."""
        if not since:
            return "initial"
        if since["epoch"] != room.epoch:
            return "epoch"
        behind = len(room.messages) - since["ts"]
        return "ahead" if behind < 0 else "trimmed" if behind > self.server.retain else None

    async def feed(self, sub):
        """Send what the credit lets (7.8)."""
        room = self.server.rooms[sub["key"]]
        while sub["sent"] < len(room.messages):
            if (
                sub["sent"] + 1 > sub["position"][0] + sub["credit"]["events"]
                or sub["bytes"] - sub["position"][1] >= sub["credit"]["bytes"]
            ):
                return
            sub["sent"] += 1
            if self.server.skip_next:
                self.server.skip_next -= 1
                await self.sock.send([11, sub["number"], sub["sent"]])
                continue
            event = [5, sub["number"], sub["sent"], "posted", room.body(sub["sent"], sub["key"])]
            sub["bytes"] += len(json.dumps(event))
            await self.sock.send(event)
