"""Leases of the strict server, and 5.23 to 5.25: who has one, who asks, who was told."""

import asyncio, secrets
from websockets.exceptions import ConnectionClosed
from strict_commands import Commands
from strict_rules import check


class Lease:
    def __init__(self, principal):
        self.id, self.principal, self.low = secrets.token_hex(16), principal, 1
        self.commands = Commands(self)


class Leases:
    """All of a server. The attributes below are for tests."""

    def __init__(self, span):
        self.span, self.all, self.tasks = span, {}, set()
        self.may_grant = asyncio.Event()  # cleared: leases that are asked for are not granted yet
        self.may_grant.set()
        self.lose_grant = False  # the socket breaks instead of telling of the next grant
        self.refuse = None  # the code that answers LEASE
        self.pretend = None  # the id that is told once in place of the right one
        self.hide = False  # the next WELCOME says nothing of its lease

    def new(self, principal):
        lease = Lease(principal)
        self.all[lease.id] = lease
        return lease

    def named(self, hello):
        """The lease that HELLO names, if it lives."""
        claim = hello.get("lease") or {}
        lease = self.all.get(claim.get("id"))
        if not lease or lease.principal != hello["token"]:
            return None
        check("4.1 low and next", 1 <= claim["low"] <= claim["next"])
        check("4.1 next was never sent", claim["next"] > lease.commands.highest)
        lease.commands.low_is(claim["low"])
        return lease

    def told(self, lease, state):
        name, self.pretend = self.pretend or lease.id, None
        return {"id": name, "state": state, "span": self.span, "ttl_ms": 60000}

    def grant(self, session):
        """A session asks; it is told on the socket that it has then, if that one asked as well."""
        if not session.asking:
            session.asking = True
            task = asyncio.ensure_future(self._grant(session))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _grant(self, session):
        await self.may_grant.wait()
        session.lease = self.new(session.principal)
        if session.socket and self.lose_grant:
            self.lose_grant = False
            return session.socket.ws.transport.abort()
        claim = session.socket and session.socket.claim
        if claim and claim.open and claim.asks:
            await claim.tell()

    def end(self):
        for task in [*self.tasks, *(lease.commands.task for lease in self.all.values())]:
            if task:
                task.cancel()


class Claim:
    """What one socket has to do with its session's lease."""

    def __init__(self, sock, hello):
        self.sock, self.leases = sock, sock.server.leases
        self.later = hello.get("lease_later") or False
        check("5.23 lease_later is a bool", type(self.later) is bool)
        check("5.23 lease_later without lease", not (self.later and hello.get("lease")))
        self.named = (hello.get("lease") or {}).get("id")
        self.asks = not self.later  # HELLO without lease_later, or LEASE, asked
        self.open = self.sent = False  # WELCOME was sent; LEASE came
        self.told, self.in_welcome = None, False  # the lease that this socket was told of, and how

    def check_resume(self, session):
        """4.7: a resume names the session's own lease if the client has heard of one."""
        if session.heard:
            check("4.7 a resume names its lease", self.named is not None)

    async def welcome(self, session, resumed):
        """The member of WELCOME, if there is one."""
        if session.lease is None and self.asks and not resumed:
            await self.leases.may_grant.wait()
            session.lease = self.leases.new(session.principal)
        if session.lease is None or self.leases.hide:
            self.leases.hide = False
            return {}
        self.told, self.in_welcome = session.lease, True
        session.heard = session.heard or self.named is not None
        own = self.named == session.lease.id
        return {"lease": self.leases.told(session.lease, "ok" if own else "new")}

    async def welcomed(self):
        """WELCOME was sent, so LEASE may follow."""
        self.open = True
        if self.asks and not self.told:
            await self.grant()

    async def asked(self, frame):
        """LEASE from the client."""
        check("5.24 LEASE twice on an attachment", not self.sent)
        check("5.24 LEASE from a client that WELCOME told of its lease", not self.in_welcome)
        self.sent = self.asks = True
        if self.sock.left or self.told:
            return  # 5.24: ignored after GOAWAY, and when the lease was granted
        if self.leases.refuse:
            return await self.sock.ws.close(self.leases.refuse)
        await self.grant()

    async def grant(self):
        if self.sock.session.lease:
            await self.tell()  # granted to an earlier socket, which did not hear of it
        else:
            self.leases.grant(self.sock.session)

    async def tell(self):
        self.told = self.sock.session.lease
        try:
            await self.sock.send([28, self.leases.told(self.told, "new")])
        except ConnectionClosed:
            pass

    def frame(self):
        """Any frame after a WELCOME that told of the lease: the client has heard of it."""
        if self.in_welcome:
            self.sock.session.heard = True

    def command(self):
        check("5.23 COMMAND before a lease", self.told)
        self.sock.session.heard = True
