"""The outbox: what is commanded under a lease, and what became of it (sections 5 and 6).

The numbers in comments are the clauses of PROTOCOL.md.
"""

import asyncio, json, math, time
from collections import deque
from frames import COMMAND, COMMAND_DEADLINE, REFUSED, RESULT, RETRY
from frames import Broken, Cancelled, Failed, IdReused, Refused, Unknown, read

CODES = ("error", "timeout")  # of FAILED; others count as "internal" (5.7)
HEAD = 120  # bytes: the longest head of a COMMAND without its name


class Command:
    """`done` is a future: the reply, or why there is none."""

    def __init__(self, name, body, deadline):
        self.name, self.body = name, json.dumps(body)  # 5.8: the same bytes each time (pure ASCII)
        self.deadline = None if deadline is None else time.monotonic() + deadline
        self.done = asyncio.get_running_loop().create_future()
        self.n = None  # its number in the lease
        self.seq = None  # its number in the session, while it is on its way
        self.not_before = 0.0  # after a retry refusal
        self.maybe = False  # it may have reached the server and was not refused since
        self.left_open = False  # it was sent in an earlier session, which told no outcome
        self.cancelled = False  # by its caller (5.27)

    def fits(self, frame_bytes):
        """With room for the longest head, so that what fits once fits each time (5.19)."""
        return len(self.body) + len(self.name) + HEAD <= frame_bytes

    def frame(self, recv, low):
        head = [COMMAND, self.seq, recv, self.n, max(0, self.n - low)]
        if self.cancelled:
            head = [COMMAND_DEADLINE, *head[1:], 0]  # 5.27: sent again, it does not begin any more
        elif self.deadline is not None:
            left = math.ceil(1000 * (self.deadline - time.monotonic()))
            head = [COMMAND_DEADLINE, *head[1:], max(0, left)]  # 5.13
        return json.dumps([*head, self.name])[:-1] + "," + self.body + "]"

    def was_not_executed(self):
        """Certainly: it was never sent, or each time that it was sent it was refused for now."""
        return not self.maybe and not self.left_open

    def resolve(self, value=None, error=None):
        if self.done.done():
            return  # 6.2: nobody waits any more
        if error is None:
            self.done.set_result(value)
        else:
            self.done.set_exception(error)


class Outbox:
    """`eager`: the lease is asked for in HELLO, whether there is something to command or not."""

    def __init__(self, eager=False):
        self.eager = eager
        self.lease, self.span = None, 0  # of the lease: its id
        self.leases = []  # all that were told, for who wants to look
        self.numbered, self.next = {}, 1  # n -> Command, in the order of n; the next n
        self.waiting = deque()  # not yet numbered
        self.dups = 0  # answers that were recorded before

    def unresolved(self):
        return [*self.numbered.values(), *self.waiting]

    def to_send(self):
        """First those that are sent again, in the order of n (5.9, 5.11), then new ones."""
        return [*(c for c in self.numbered.values() if c.seq is None), *self.waiting]

    def low(self):
        return next(iter(self.numbered), self.next)  # 5.4

    def hello(self):
        """What HELLO says of the lease (4.1, 5.23)."""
        if self.lease:
            return {"lease": {"id": self.lease, "low": self.low(), "next": self.next}}
        if self.eager or self.waiting:
            return {}  # without both members HELLO asks for a lease
        return {"lease_later": True}

    def new_session(self):
        for c in self.numbered.values():
            c.left_open = c.left_open or c.seq is not None
            c.seq = None  # 5.9: all of it goes out again

    def welcome(self, lease, resumed):
        """WELCOME's lease: HELLO's own, another one after that has expired (5.1), or, where HELLO
        named none, the first one or still none (5.25)."""
        if self.lease and lease is None:
            raise Broken(4410, "WELCOME without the lease that HELLO named")
        if self.lease and resumed and (lease["id"], lease["state"]) != (self.lease, "ok"):
            raise Broken(4410, "WELCOME resumes with another lease")  # 4.15
        if lease is not None:
            self._take(lease)

    def granted(self, lease):
        """LEASE: the first one that is told of counts, by whichever frame (5.24)."""
        if self.lease not in (None, lease["id"]):
            raise Broken(4410, "LEASE tells of another lease")
        self._take(lease)

    def _take(self, lease):
        if self.lease != lease["id"]:
            self._number_anew()
        self.lease, self.span = lease["id"], lease["span"]
        self.leases.append(lease)

    def _number_anew(self):
        """5.1: what was written under another lease, and not refused since, is unknown."""
        lost = [c for c in self.numbered.values() if c.maybe]
        self.waiting.extendleft(reversed([c for c in self.numbered.values() if not c.maybe]))
        self.numbered, self.next = {}, 1
        for c in self.waiting:
            c.n = None
        for c in lost:
            c.resolve(error=Unknown("the lease expired"))

    def number(self, command):
        """Give a command its number, if it has none. False if the span is used up (5.3), which may
        be a smaller one than when it got its number (5.19)."""
        n = command.n or self.next
        if n - self.low() >= self.span:
            return False
        if command.n is None:
            self.waiting.remove(command)
            command.n, self.next = self.next, self.next + 1
            self.numbered[command.n] = command
        command.maybe = True
        return True

    def too_large(self, command):
        """5.19: it would cost the socket (2.3), or it was sent under a larger limit."""
        self._drop(command)
        maybe = command.maybe
        command.resolve(error=Unknown("too large by now") if maybe else Refused("too_large"))

    def _drop(self, command):
        if command.n is None:
            self.waiting.remove(command)
        else:
            del self.numbered[command.n]

    def cancel(self, command):
        """5.27. Whether the server is to be told: the command is with it, or may be."""
        if command.cancelled or command not in self.unresolved():
            return False
        command.cancelled = True
        if command.was_not_executed():
            self._drop(command)
            command.resolve(error=Cancelled("cancelled"))
            return False
        return command.seq is not None

    def to_cancel(self):
        """5.27: those cancelled ones of this session of which its next attachment tells again."""
        return [c for c in self.numbered.values() if c.cancelled and c.seq is not None]

    def answer(self, kind, n, rest):
        """RESULT, FAILED or REFUSED, from `n` on."""
        c = self.numbered.get(n)
        if c is None:
            return  # 5.7: resolved before, or never sent
        if kind == REFUSED and rest[0] in RETRY:  # 5.10: not executed; the same n goes again
            c.seq, c.maybe, c.not_before = None, False, time.monotonic() + rest[1] / 1000
            if c.cancelled and c.was_not_executed():  # 5.27: it need not be sent again
                self._drop(c)
                c.resolve(error=Cancelled("cancelled"))
            return
        del self.numbered[n]
        if kind == REFUSED:
            return c.resolve(error=Refused(rest[0]))
        self.dups += rest[0]
        body, readable = read(rest[-1], object if kind == RESULT else dict)
        if kind == RESULT and readable:
            c.resolve(body)
        elif kind == RESULT:
            c.resolve(error=Failed("internal", "", body))  # 3.5
        else:
            c.resolve(error=failure(rest[1], rest[2], body, readable))

    def stop(self, stopped):
        """6.3: what is left may have been executed, or was not."""
        for c in self.unresolved():
            c.resolve(error=Unknown(*stopped.args) if c.maybe else stopped)


def failure(code, name, body, readable):
    if code == "unknown":
        return Unknown("says the server")
    if code == "id_reused":
        return IdReused(code, name, body if readable else {})
    if code not in CODES or not readable:
        code = "internal"  # 5.7, 3.5
    return Failed(code, name, body)
