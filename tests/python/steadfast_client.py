"""A client for the steadfast protocol, version 1 (JSON codec), written from PROTOCOL.md alone.

It is meant for people who port the protocol to another language; the numbers in comments are the
clauses. One task owns the socket: `_run` dials, and `_attach` is the life of one socket. Everything
else is plain state, without locks: session.py numbers frames, outbox.py commands, inbox.py keeps
direct messages, dialing.py knows what the end of a socket means, and attachment.py writes and notes
signs of life.

    client = Client("ws://127.0.0.1:9000/", "chat", "1.0", token="ada")
    print(await client.call("post", {"room": "tea", "text": "hi"}))
    sub = client.subscribe("room", "tea")
    while True: print(await asyncio.wait_for(sub.get(), 10))
    await client.close()
"""

import asyncio, itertools, json, secrets, time
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    NegotiationError,
)
from frames import ACK, CANCEL, DIRECT, EVENT, FAILED, GOAWAY, HELLO, LEASE, PING, PONG
from frames import REFUSED, RESULT, RESUME_FAILED, SKIP, SNAPSHOT, SUBSCRIBED, TOPIC_VOLATILE
from frames import UNSUBSCRIBED, VOLATILE, WELCOME
from frames import Broken, Refused, Stopped, is_name, parse
from attachment import Attachment
from dialing import Dialing, open_socket
from inbox import Inbox
from outbox import Command, Outbox
from session import Session
from subscription import Subscriptions

INSTANCE, DIALS = secrets.token_hex(16), itertools.count(1)  # 4.9: per process


def named(name):
    if not is_name(name):
        raise ValueError(f"{name!r} is no name: 1 to 64 of a-z A-Z 0-9 _ . - (3.4)")
    return name


class Client:
    """A client that only reads has no lease; its first command asks for one (5.24)."""

    def __init__(
        self,
        url,
        protocol,
        version,
        token=None,
        window=(256, 1 << 20),
        message_bytes=16 << 20,
        backoff=30.0,
        eager=False,
        inbox=(256, 1 << 20),
    ):
        """`token`: the credentials, or what gives them at each dial. `message_bytes`: the longest
        message taken (2.6). `backoff`: the longest delay before a dial, in seconds (8.1a).
        `eager`: ask for the lease at once, not with the first command (5.24). `inbox`: how many
        direct messages, and bytes of them, wait for the application at most (4.17)."""
        self.url, self.protocol, self.version, self.window = url, protocol, version, window
        self.message_bytes = message_bytes
        self.token = token if callable(token) else lambda: token
        self.session, self.outbox, self.dialing = Session(), Outbox(eager), Dialing(backoff)
        self.subs, self.inbox = Subscriptions(self._write), Inbox(*inbox)
        self.ws = self.attachment = None  # the attachment lives from WELCOME to the socket's end
        self.ack_timer, self.closing = None, False
        self.gate = asyncio.Event()  # cleared: do not dial (used by tests)
        self.gate.set()
        self.welcomes, self.closes, self.reasons = [], [], []  # for who wants to look
        self.task = asyncio.ensure_future(self._run())

    async def call(self, name, body, deadline=None):
        """Send a command and wait for its reply, or for Refused, Failed, Unknown or Stopped.
        Refused, and IdReused among Failed, say that it was not executed. `deadline`: in seconds."""
        command = self.begin(name, body, deadline)
        return await command.done  # to stop waiting changes nothing for the command (6.2)

    def begin(self, name, body, deadline=None):
        """Send a command; its `done` is what `call` waits for."""
        named(name)
        if self.closing:
            raise Stopped(1000, "closed")
        command = Command(name, body, deadline)
        self.outbox.waiting.append(command)
        self._pump()
        return command

    def cancel(self, command):
        """Say that nobody wants the outcome of a command any more (5.27). It has one all the same:
        Cancelled or Refused if it did not begin, or whatever it ended with."""
        if self.outbox.cancel(command):
            self._write([CANCEL, command.n])  # if there is no attachment, the next one tells
        else:
            self._pump()  # the number of one that was given up is no longer in the way

    def volatile(self, name, body):
        """Send a volatile message, if there is a connection. Refused if it is too large for it."""
        frame = json.dumps([VOLATILE, named(name), body])
        if self.attachment and len(frame) > self.limits["frame_bytes"]:
            raise Refused("too_large")  # 2.3
        self._write(frame)  # 5.16

    async def direct(self):
        """The next direct message, or what inbox.py says of a gap, a bad one and the end."""
        return await self.inbox.get()

    def subscribe(self, topic, key, position=None, credit=(64, 1 << 20)):
        return self.subs.add(named(topic), key, position, credit)

    def unsubscribe(self, sub):
        self.subs.leave(sub)

    def cut(self):
        self.ws.transport.abort()  # as a network would: no close frame

    async def close(self, timeout=10):
        """Wait for the outbox, then end the lease (5.15) and the session (4.11)."""
        pending = [c.done for c in self.outbox.unresolved() if not c.done.done()]
        if pending and not self.task.done():
            await asyncio.wait(pending, timeout=timeout)
        self.closing = True
        if self.attachment:
            self._ack_now()
            self.attachment.end()
            await asyncio.wait([self.task], timeout=timeout)
        self.task.cancel()
        await asyncio.wait([self.task])

    async def _run(self):
        code, reason = 1000, "closed"
        try:
            while not self.closing:
                await self.gate.wait()
                code, reason = await self._dial()
                self.closes.append(int(code))
                self.reasons.append(reason)
                if self.closing or code == 1000:
                    break
                if self.dialing.ended(code, reason):
                    self.session.end()  # a new session with the old lease
                await asyncio.sleep(self.dialing.pause(code))
            raise Stopped(code, reason)
        except Stopped as e:
            self._stop(e)
        except BaseException as e:  # cancelled by close(), or a mistake in this file
            self._stop(Stopped(1000, "closed") if self.closing else Stopped(0, repr(e)))

    def _stop(self, stopped):
        self.stopped, self.closing = stopped, True
        self.outbox.stop(stopped)
        self.subs.stop()
        self.inbox.stop()

    async def _dial(self):
        """One socket, or the attempt to get one: its close code and reason."""
        self.dialing.dials()
        try:
            return await self._attach()
        except NegotiationError as e:
            raise Stopped(0, f"something in between changed the subprotocol: {e}")  # 2.1
        except InvalidStatus as e:
            after = e.response.headers.get("Retry-After", "")
            return self.dialing.refused_upgrade(e.response.status_code, after), str(e)
        except (OSError, EOFError, InvalidHandshake, InvalidMessage, ConnectionClosed) as e:
            return 1006, repr(e)  # a timeout is an OSError

    async def _attach(self):
        """One socket from dial to end: returns its close code and reason."""
        dial = next(DIALS)  # 4.9: those that fail count, too
        self.ws = ws = await open_socket(self.url, self.message_bytes)
        ended = None  # the code and the reason with which this end closed
        try:
            if ws.subprotocol is None:
                raise Stopped(0, "something in between removed the subprotocol")  # 2.1
            await ws.send(json.dumps([HELLO, self._hello(dial)]))
            await asyncio.wait_for(self._greeted(ws), 10)  # 4.1
            while True:
                text = await ws.recv()
                size = len(text.encode()) if isinstance(text, str) else 0
                if size > self.message_bytes:
                    self.subs.too_large(text)
                elif frame := self._parse(text):
                    self._on(frame, size)
        except ConnectionClosed as e:
            # 2.7, 8.1a: the library itself closes with 1009 when a message is too long.
            if e.sent and not e.rcvd_then_sent:
                ended = (e.sent.code, e.sent.reason)
        except Broken as e:
            ended = e.args
        except asyncio.TimeoutError:
            ws.transport.abort()  # 4.1: as if the network had lost it; 1000 would end the session
        finally:
            self._detached()
            await ws.close(*((ended[0], ended[1][:100]) if ended else ()))
        return ended or (ws.close_code or 1006, ws.close_reason or "")

    def _hello(self, dial):
        hello = {
            "v": 1,
            "protocol": self.protocol,
            "version": self.version,
            "instance": INSTANCE,
            "dial": dial,
            "window": {"frames": self.window[0], "bytes": self.window[1]},
            "message_bytes": self.message_bytes,
            **self.outbox.hello(),
        }
        token = self.token()
        if token is not None:
            hello["token"] = token
        if self.session.id:
            hello["resume"] = self.session.resume()
        return hello

    async def _greeted(self, ws):
        while not self.attachment:
            frame = self._parse(await ws.recv())
            if frame is None or frame[0] in (PING, PONG):
                continue  # 4.1: nothing is sent before WELCOME, so PING has no answer here
            if frame[0] == RESUME_FAILED:
                self.session.end()  # 4.10: WELCOME follows
            elif frame[0] == WELCOME:
                self._welcome(frame[1])
            else:
                raise Broken(4410, "expected WELCOME")  # 4.15

    def _parse(self, message):
        if not isinstance(message, str):
            raise Broken(4400, "binary message")  # 2.2
        return parse(message)

    def _welcome(self, w):
        self.session.welcome(w)
        if not w["resumed"]:
            self.outbox.new_session()
        self.outbox.welcome(w.get("lease"), w["resumed"])
        if self.welcomes and not w["resumed"]:
            self.inbox.gap("session")  # 4.17
        self.dialing.welcome()
        self.limits, self.attachment = w, Attachment(self.ws, w["heartbeat"])
        self._ack_now()  # 4.1: confirms the new token
        for c in self.session.replay.values():
            self._write(c.frame(self.session.recv, self.outbox.low()))  # 4.7
        for c in self.outbox.to_cancel():
            self._write([CANCEL, c.n])  # 5.27
        self.subs.attach()
        self.welcomes.append(w)
        self._pump()

    def _detached(self):
        if self.attachment:
            self.attachment.gone()
        self.attachment = None
        self._carried()
        self.subs.detach()

    def _write(self, frame, first=False):
        if self.attachment:
            self.attachment.write(frame, first)

    def _on(self, frame, size):
        kind, *f = frame
        if kind in (RESULT, FAILED, REFUSED):
            self._answer(kind, f)
        elif kind == DIRECT:
            self._direct(*f)
        elif kind == ACK:
            self.session.acked(f[0])
            self._pump()
        elif kind == PING:
            self._write([PONG, f[0]], first=True)  # 9.2
        elif kind in (EVENT, SNAPSHOT, SKIP, TOPIC_VOLATILE):
            self.subs.of_topic(kind, f[0], f[1:], size)
        elif kind in (SUBSCRIBED, UNSUBSCRIBED):
            self.subs.answer(kind, f[0])
        elif kind == GOAWAY:
            self.attachment.draining, self.dialing.after = True, f[0]["after_ms"] / 1000
        elif kind == LEASE:
            self.outbox.granted(f[0])
            self._pump()
        elif kind == WELCOME:
            raise Broken(4410, "WELCOME twice")  # 4.15
        elif kind != PONG:
            raise Broken(4400, f"kind {kind} out of place")

    def _answer(self, kind, f):
        seq, ack, n, *rest = f
        self.session.follows(seq)
        self.session.acked(ack)
        self.outbox.answer(kind, n, rest)
        self._accepted(seq, "" if kind == REFUSED else rest[-1])

    def _direct(self, seq, ack, name, body):
        self.session.follows(seq)
        self.session.acked(ack)
        self.inbox.put(name, body)
        self._accepted(seq, body)

    def _accepted(self, seq, body):
        self.session.accepts(seq, len(body.encode()))
        if self.session.ack_is_due(*self.window):
            self._ack_now()  # 4.5
        elif not self.ack_timer:
            self.ack_timer = asyncio.get_running_loop().call_later(0.25, self._ack_now)
        self._pump()

    def _ack_now(self):
        self._carried()
        self._write([ACK, self.session.recv, self.outbox.low()])

    def _carried(self):
        """A frame carries the ack, or there is nobody to send it to."""
        if self.ack_timer:
            self.ack_timer.cancel()
        self.ack_timer = None
        self.session.carried()

    def _ask(self):
        """5.24: the first command asks for the lease, at most once on an attachment."""
        if not self.attachment.asked:
            self.attachment.asked = True
            self._write([LEASE, {}])

    def _pump(self):
        """Send the commands that may be sent."""
        if not self.attachment or self.attachment.draining:
            return  # 8.2
        for c in self.outbox.to_send():
            wait = c.not_before - time.monotonic()
            if wait > 0:
                asyncio.get_running_loop().call_later(wait, self._pump)
                return
            if not c.fits(self.limits["frame_bytes"]):
                self.outbox.too_large(c)
                continue
            if not self.outbox.lease:
                return self._ask()
            if not self.session.has_room(len(c.body), self.limits["window"]):
                return  # 4.6
            if not self.outbox.number(c):
                return  # 5.3
            self.session.sends(c)
            self._carried()  # the head carries the ack
            self._write(c.frame(self.session.recv, self.outbox.low()))
            if c.cancelled:
                self._write([CANCEL, c.n])  # 5.27: after the COMMAND that it is about
