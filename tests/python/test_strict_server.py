"""The strict server notes a client that breaks a rule: each test is a wrong client.

    python3 test_strict_server.py [PART_OF_A_NAME]
"""

import asyncio, contextlib, json, sys
from websockets.asyncio.client import connect
from claims import main, until, within
from strict_server import Server


class Raw:
    """A client that says what a test tells it to."""

    def __init__(self, server):
        self.server = server

    async def __aenter__(self):
        self.ws = await connect(
            self.server.url, subprotocols=["steadfast.v1.json"], ping_interval=None
        )
        return self

    async def __aexit__(self, *_):
        await self.ws.close()

    async def greet(self, **more):
        window = {"frames": 8, "bytes": 4096}
        hello = {"v": 1, "protocol": "chat", "version": "1.0", "token": "ada", "dial": 1}
        hello |= {"instance": "0" * 32, "window": window, "message_bytes": 1 << 20, **more}
        await self.send([20, hello])

    async def send(self, frame):
        await self.ws.send(json.dumps(frame))

    async def next(self, kind):
        while (frame := json.loads(await within(self.ws.recv())))[0] != kind:
            pass
        return frame[1]


async def is_noted(server, rule):
    await until(lambda: server.wrong)
    assert server.wrong == [rule], server.wrong


TOLD = {"low": 1, "next": 1}
COMMAND = [1, 1, 0, 1, 0, "post", {"room": "r", "text": "x"}]


async def test_the_server_notes_a_command_before_a_lease():
    async with Server() as s, Raw(s) as raw:
        await raw.greet(lease_later=True)
        assert "lease" not in await raw.next(21)
        await raw.send(COMMAND)
        await is_noted(s, "5.23 COMMAND before a lease")


async def test_the_server_notes_a_command_that_does_not_wait_for_the_answer():
    async with Server() as s, Raw(s) as raw:
        s.leases.may_grant.clear()
        await raw.greet(lease_later=True)
        await raw.next(21)
        await raw.send([28, {}])
        await raw.send(COMMAND)
        await is_noted(s, "5.23 COMMAND before a lease")


async def test_the_server_notes_a_second_lease_on_an_attachment():
    async with Server() as s, Raw(s) as raw:
        await raw.greet(lease_later=True)
        await raw.next(21)
        await raw.send([28, {}])
        assert (await raw.next(28))["state"] == "new"
        await raw.send([28, {}])
        await is_noted(s, "5.24 LEASE twice on an attachment")


async def test_the_server_notes_lease_later_beside_a_lease():
    async with Server() as s, Raw(s) as raw:
        await raw.greet(lease_later=True, lease={"id": "0" * 32, "low": 1, "next": 1})
        await is_noted(s, "5.23 lease_later without lease")


async def test_the_server_notes_a_resume_that_hides_its_lease():
    async with Server() as s, Raw(s) as raw:
        await raw.greet()
        w = await raw.next(21)
        await raw.send(COMMAND)
        await raw.next(3)
        async with Raw(s) as other:
            resume = {"session": w["session"], "token": w["token"], "recv": 1}
            await other.greet(dial=2, resume=resume)
            await is_noted(s, "4.7 a resume names its lease")


@contextlib.asynccontextmanager
async def greeted(**more):
    """A server, and a client that it has welcomed."""
    async with Server() as s, Raw(s) as raw:
        await raw.greet(**more)
        await raw.next(21)
        yield s, raw


def command(n, seq=None, low=1, deadline_ms=None, name="post", text="x", ack=0):
    head = [1, seq or n, ack, n, n - low]
    if deadline_ms is not None:
        head = [2, *head[1:], deadline_ms]
    return [*head, name, {} if name == "wait" else {"room": "r", "text": text}]


async def test_the_server_notes_a_direct_message_that_is_not_acknowledged():
    async with greeted() as (s, raw):
        for i in range(4):  # half of its window
            await s.direct("ada", "warned", {})
        (sock,) = s.sockets
        for k in range(3):
            await sock.send([12, k])
            await raw.send([13, k])
        await is_noted(s, "4.5 ACK is due")


async def test_the_server_keeps_the_window_for_direct_messages():
    async with greeted() as (s, raw):
        for i in range(20):
            await s.direct("ada", "warned", {"i": i})
        (sock,) = s.sockets
        assert (sock.session.sent, len(sock.session.waiting)) == (8, 12)
        await raw.send([0, 8, 1])
        await until(lambda: sock.session.sent == 16)
        assert not s.wrong


async def test_the_server_notes_an_ack_of_a_direct_message_that_was_not_sent():
    async with greeted() as (s, raw):
        await s.direct("ada", "warned", {})
        await raw.send([0, 2, 1])
        await is_noted(s, "4.4 ack")


async def test_the_server_notes_a_resume_that_takes_back_an_ack():
    async with Server() as s, Raw(s) as raw:
        await raw.greet()
        w = await raw.next(21)
        await s.direct("ada", "warned", {})
        await raw.send([0, 1, 1])
        await until(lambda: next(iter(s.sessions.values())).acked_to)
        async with Raw(s) as other:
            resume = {"session": w["session"], "token": w["token"], "recv": 0}
            await other.greet(dial=2, resume=resume, lease={**TOLD, "id": w["lease"]["id"]})
            await is_noted(s, "4.7 recv of resume")


async def test_the_server_notes_direct_from_a_client():
    async with greeted() as (s, raw):
        await raw.send([14, 1, 0, "warned", {}])
        await is_noted(s, "4400 unknown kind, or one of the other direction: 14")


async def test_the_server_notes_cancel_before_its_command():
    async with greeted() as (s, raw):
        await raw.send([129, 1])
        await is_noted(s, "5.27 CANCEL comes after the COMMAND")


async def test_the_server_notes_cancel_before_a_lease():
    async with greeted(lease_later=True) as (s, raw):
        await raw.send([129, 1])
        await is_noted(s, "5.27 CANCEL before a lease")


async def test_the_server_notes_cancel_twice():
    async with greeted() as (s, raw):
        s.may_begin.clear()
        for frame in (command(1), [129, 1], [129, 1]):
            await raw.send(frame)
        await is_noted(s, "5.27 CANCEL twice")


async def test_the_server_notes_cancel_of_what_is_resolved():
    async with greeted() as (s, raw):
        await raw.send(command(1))
        await raw.next(3)
        for frame in ([0, 1, 2], [129, 1]):
            await raw.send(frame)
        await is_noted(s, "5.27 CANCEL of what is resolved")


async def test_the_server_notes_cancel_without_its_number():
    async with greeted() as (s, raw):
        await raw.send([129])
        await is_noted(s, "4400 malformed frame")


async def comes_back(s, raw, *frames, close=False):
    """A client whose cancelled command still runs comes back, and says `frames`."""
    await raw.greet()
    w = await raw.next(21)
    await raw.send(command(1, name="wait"))
    await raw.send(command(2))
    s.may_begin.clear()  # the first runs, or waits as well
    await until(lambda: len(s.leases.all[w["lease"]["id"]].commands.accepted) == 2)
    lease = s.leases.all[w["lease"]["id"]]
    lease.commands.cancelled.add(2)  # it was said on the socket before
    s.forget_sessions()
    async with Raw(s) as other:
        await other.greet(dial=2, lease={"id": lease.id, "low": 1, "next": 3})
        await other.next(21)
        for frame in frames:
            await other.send(frame)
        if close:
            await other.ws.close(1000)
        await until(lambda: s.wrong)


async def test_the_server_notes_a_cancelled_command_that_comes_again_as_if_it_were_wanted():
    for again in (command(2), command(2, deadline_ms=5)):
        async with Server() as s, Raw(s) as raw:
            await comes_back(s, raw, command(1, name="wait"), again)
            await is_noted(s, "5.27 deadline_ms is 0 when it comes again")


async def test_the_server_notes_a_client_that_does_not_cancel_again():
    async with Server() as s, Raw(s) as raw:
        frames = command(1, name="wait"), command(2, deadline_ms=0)
        await comes_back(s, raw, *frames, close=True)
        await is_noted(s, "5.27 CANCEL on each attachment")


async def test_the_server_notes_a_new_command_before_the_old_ones():
    async with Server() as s, Raw(s) as raw:
        await comes_back(s, raw, command(3, seq=1))
        await is_noted(s, "5.9 [1, 2] go before the new 3")


async def test_the_server_notes_other_bytes_under_the_same_number():
    async with greeted() as (s, raw):
        for frame in (command(1), command(1, seq=2, text="y")):
            await raw.send(frame)
        await is_noted(s, "5.8 same bytes")


async def test_the_server_notes_numbers_with_gaps():
    async with greeted() as (s, raw):
        await raw.send(command(2, seq=1))
        await is_noted(s, "5.2 order: 2 after 0")


async def test_the_server_notes_a_sequence_with_gaps():
    async with greeted() as (s, raw):
        await raw.send(command(1, seq=2))
        await is_noted(s, "4.2 seq 2 after 0")


async def test_the_server_notes_a_low_that_passes_what_runs():
    async with greeted() as (s, raw):
        s.may_begin.clear()
        for frame in (command(1), [0, 0, 2]):
            await raw.send(frame)
        await is_noted(s, "5.4 low never passes an unresolved n")


async def test_the_server_notes_a_client_that_exceeds_the_window():
    async with greeted() as (s, raw):
        s.may_begin.clear()
        for n in range(1, 10):
            await raw.send(command(n))
        await is_noted(s, "4.6 window")


async def test_the_server_notes_a_client_that_exceeds_the_window_in_bytes():
    async with greeted() as (s, raw):
        s.may_begin.clear()
        for n in (1, 2):
            await raw.send(command(n, text="x" * 3000))
        await is_noted(s, "4.6 window")


async def test_the_server_notes_a_client_that_exceeds_the_span():
    async with Server(span=2, frames=8) as s, Raw(s) as raw:
        await raw.greet()
        await raw.next(21)
        s.may_begin.clear()
        for n in (1, 2, 3):
            await raw.send(command(n))
        await is_noted(s, "5.3 span")


async def test_the_server_notes_a_deadline_that_grows():
    async with Server() as s, Raw(s) as raw:
        await raw.greet()
        await raw.next(21)
        s.may_begin.clear()
        for seq, deadline_ms in ((1, 5000), (2, 6000)):
            await raw.send(command(1, seq=seq, deadline_ms=deadline_ms))
        await is_noted(s, "5.13 a deadline does not grow")


async def test_the_server_notes_what_is_said_before_welcome():
    async with Server() as s, Raw(s) as raw:
        s.may_welcome.clear()
        await raw.greet()
        await raw.send([0, 0, 1])
        await until(lambda: s.hellos)
        await raw.ws.ping()
        await asyncio.sleep(0.05)  # until the frame is there; nothing shows that it is
        s.may_welcome.set()
        await is_noted(s, "4.1 nothing before WELCOME")


async def test_the_server_notes_frames_that_are_too_long():
    async with greeted() as (s, raw):
        await raw.send([6, "typing", {"text": "x" * 70000}])
        await until(lambda: s.wrong)
        assert s.wrong[0].startswith("2.3 "), s.wrong


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
