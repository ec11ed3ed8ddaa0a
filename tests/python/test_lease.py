"""Claims of 5.23: a client has a lease from its first command on, whatever sockets break.

    python3 test_lease.py [PART_OF_A_NAME]
"""

import asyncio, itertools, json, sys
from websockets.asyncio.client import connect
from claims import chat, fails, main, post, texts, until, within
from frames import Refused, Stopped
from strict_server import Server

NUMBERS = itertools.count(1000)  # of fences, each another one


def kinds(sock):
    return [f[0] for f in sock.got]


def asks(sock):
    return kinds(sock).count(28)


async def attached(server, count=1):
    """The socket of the last of `count` HELLOs, when WELCOME was sent and confirmed."""
    await until(lambda: len(server.hellos) == count)
    await until(lambda: any(s.got for s in server.sockets))
    (sock,) = (s for s in server.sockets if s.got)
    return sock


async def said(client, sock):
    """Wait until the server has read all that the client has written so far."""
    client.volatile("fence", {"number": (number := next(NUMBERS))})
    await until(lambda: [6, "fence", {"number": number}] in sock.got)


async def heard(client, sock):
    """Wait until the client has read all that the server has sent so far."""
    await sock.send([12, (number := next(NUMBERS))])
    await until(lambda: [13, number] in sock.got)


def named(hello):
    return [m for m in ("resume", "lease", "lease_later") if hello.get(m) is not None]


async def test_a_client_that_only_reads_never_asks_for_a_lease():
    async with Server() as s:
        reader = chat(s)
        sub = reader.subscribe("room", "r")
        await within(sub.get()), await within(sub.get())
        event = asyncio.ensure_future(sub.get())
        await attached(s)
        reader.cut()
        sock = await attached(s, 2)
        writer = chat(s)
        await within(post(writer, "seen"))
        assert (await within(event)).body["text"] == "seen"
        await said(reader, sock)
        assert [named(h) for h in s.hellos[:2]] == [["lease_later"], ["resume", "lease_later"]]
        assert not asks(sock) and reader.outbox.lease is None and len(s.leases.all) == 1
        await reader.close(), await writer.close()
        assert reader.closes[-1] == 1000
        return s


async def test_a_volatile_needs_no_lease():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        await said(c, sock)
        assert not asks(sock) and not s.leases.all
        await c.close()
        return s


async def test_the_first_command_asks_and_all_commands_wait_for_the_lease():
    async with Server() as s:
        s.leases.may_grant.clear()
        c = chat(s)
        sock = await attached(s)
        posts = [post(c, str(i)) for i in range(30)]
        await until(lambda: asks(sock))
        await said(c, sock)
        assert asks(sock) == 1 and 1 not in kinds(sock)
        s.leases.may_grant.set()
        await within(asyncio.gather(*posts))
        assert texts(s) == [str(i) for i in range(30)]
        assert asks(sock) == 1 and named(s.hellos[0]) == ["lease_later"]
        await c.close()
        return s


async def test_an_eager_client_asks_in_hello():
    async with Server() as s:
        c = chat(s, eager=True)
        sock = await attached(s)
        assert c.welcomes[0]["lease"]["state"] == "new" and named(s.hellos[0]) == []
        await within(post(c))
        assert not asks(sock)
        await c.close()
        return s


async def test_what_waits_at_hello_asks_in_hello():
    async with Server() as s:
        c = chat(s)
        await within(post(c))  # called before the dial
        assert named(s.hellos[0]) == [] and c.welcomes[0]["lease"]["state"] == "new"
        assert not asks(await attached(s))
        await c.close()
        return s


async def test_what_is_called_between_hello_and_welcome_asks_after_welcome():
    async with Server() as s:
        s.may_welcome.clear()
        c = chat(s)
        await until(lambda: s.hellos)
        posted = post(c)
        await until(lambda: c.outbox.waiting)
        s.may_welcome.set()
        await within(posted)
        sock = await attached(s)
        assert named(s.hellos[0]) == ["lease_later"] and asks(sock) == 1
        assert kinds(sock)[0] == 0  # 4.1
        await c.close()
        return s


async def test_a_socket_that_breaks_before_the_answer_asks_again():
    async with Server() as s:
        s.leases.may_grant.clear()
        c = chat(s)
        sock = await attached(s)
        posted = post(c)
        await until(lambda: asks(sock))
        c.cut()
        again = await attached(s, 2)
        await said(c, again)
        assert named(s.hellos[1]) == ["resume"] and c.welcomes[1].get("lease") is None
        assert asks(again) <= 1 and 1 not in kinds(again)
        s.leases.may_grant.set()
        await within(posted)
        assert texts(s) == ["x"] and len(s.leases.all) == 1 == len(c.outbox.leases)
        await c.close()
        return s


async def test_a_lease_that_was_granted_but_not_heard_of_is_told_in_welcome():
    async with Server() as s:
        s.leases.lose_grant = True
        c = chat(s)
        await attached(s)
        await within(post(c))
        assert named(s.hellos[1]) == ["resume"] and c.welcomes[1]["lease"]["state"] == "new"
        assert c.welcomes[1]["resumed"] and len(s.leases.all) == 1
        assert not asks(await attached(s, 2))
        await c.close()
        return s


async def test_a_lease_granted_while_there_is_no_socket_is_told_in_welcome():
    async with Server() as s:
        s.leases.may_grant.clear()
        c = chat(s)
        sock = await attached(s)
        posted = post(c)
        await until(lambda: asks(sock))
        c.gate.clear()
        c.cut()
        await until(lambda: not s.sockets)
        s.leases.may_grant.set()
        await until(lambda: s.leases.all)
        c.gate.set()
        await within(posted)
        assert c.welcomes[1]["lease"]["state"] == "new" and len(s.leases.all) == 1
        await c.close()
        return s


async def test_a_lease_that_was_heard_of_is_named_from_then_on():
    async with Server() as s:
        c = chat(s)
        await attached(s)
        await within(post(c, "a"))
        c.cut()
        await within(post(c, "b"))
        s.forget_sessions()
        c.cut()
        await within(post(c, "c"))
        assert [named(h) for h in s.hellos[1:]] == [["resume", "lease"]] * 2
        assert [w["lease"]["state"] for w in c.welcomes[1:]] == ["ok", "ok"]
        assert texts(s) == ["a", "b", "c"] and len(s.leases.all) == 1
        await c.close()
        return s


async def test_a_session_lost_before_its_lease_was_heard_of_costs_no_command():
    async with Server() as s:
        s.leases.may_grant.clear()
        c = chat(s)
        sock = await attached(s)
        posts = [post(c, str(i)) for i in range(3)]
        await until(lambda: asks(sock))
        c.gate.clear()
        c.cut()
        await until(lambda: not s.sockets)
        s.forget_sessions()
        s.leases.may_grant.set()
        c.gate.set()
        await within(asyncio.gather(*posts))
        assert not c.welcomes[1]["resumed"] and c.welcomes[1]["lease"]["state"] == "new"
        assert texts(s) == ["0", "1", "2"]
        await c.close()
        return s


async def test_another_lease_in_the_answer_is_4410_and_the_first_one_is_kept():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        await within(post(c, "a"))
        first = c.outbox.lease
        s.leases.pretend = "f" * 32
        await sock.claim.tell()
        await until(lambda: c.closes)
        assert c.closes == [4410]
        await within(post(c, "b"))
        assert not c.welcomes[1]["resumed"] and s.hellos[1]["lease"]["id"] == first
        assert texts(s) == ["a", "b"] and c.outbox.lease == first
        await c.close()
        return s


async def test_another_lease_in_the_answer_than_welcome_told_is_4410():
    async with Server() as s:
        s.leases.lose_grant = True
        c = chat(s)
        await attached(s)
        await within(post(c, "a"))
        sock = await attached(s, 2)
        s.leases.pretend = "f" * 32
        await sock.claim.tell()
        await until(lambda: len(c.closes) == 2)
        assert c.closes[1] == 4410
        await within(post(c, "b"))
        assert texts(s) == ["a", "b"] and len(s.leases.all) == 1
        await c.close()
        return s


async def test_a_lease_told_again_changes_nothing():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        await within(post(c, "a"))
        await sock.claim.tell()
        await within(post(c, "b"))
        assert texts(s) == ["a", "b"] and not c.closes
        await c.close()
        return s


async def test_a_lease_that_nobody_asked_for_is_taken():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        s.leases.grant(sock.session)
        await until(lambda: sock.session.lease)
        await sock.claim.tell()
        await heard(c, sock)
        await within(post(c))
        assert not asks(sock)
        await c.close()
        return s


async def test_lease_before_welcome_is_4410():
    async with Server() as s:
        lease = {"id": "f" * 32, "state": "new", "span": 16, "ttl_ms": 60000}
        s.before_welcome = [28, lease]
        c = chat(s)
        await until(lambda: c.closes)
        assert c.closes == [4410] and c.outbox.lease is None
        s.before_welcome = None
        await within(post(c))
        await c.close()
        return s


async def test_a_lease_without_its_members_is_4400():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        await sock.send([28, {"id": "f" * 32}])
        assert (await fails(Stopped, until_stopped(c))).args[0] == 4400
        return s


async def until_stopped(c):
    await asyncio.wait([c.task])
    raise c.stopped


async def test_nothing_is_asked_for_after_goaway():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        await sock.send([27, {"after_ms": 0, "deadline_ms": 1000}])
        await heard(c, sock)
        posted = post(c)
        await said(c, sock)
        assert not asks(sock) and 1 not in kinds(sock)
        await sock.ws.close(4010)
        await within(posted)
        assert named(s.hellos[1]) == ["resume"]
        await c.close()
        return s


async def test_an_answer_that_goaway_swallowed_is_asked_for_on_the_next_socket():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        posted = post(c)
        await asyncio.sleep(0)  # the call begins, and nobody has read a socket yet
        await sock.send([27, {"after_ms": 0, "deadline_ms": 1000}])
        await said(c, sock)
        assert asks(sock) == 1 and 1 not in kinds(sock)
        await sock.ws.close(4010)
        await within(posted)
        assert named(s.hellos[1]) == ["resume"] and len(s.leases.all) == 1
        await c.close()
        return s


async def test_a_lease_that_is_refused_for_now_is_asked_for_again():
    async with Server() as s:
        s.leases.refuse = 4004
        c = chat(s)
        await attached(s)
        c.gate.clear()
        posted = post(c)
        await until(lambda: c.closes)
        s.leases.refuse = None
        c.gate.set()
        await within(posted)
        assert c.closes == [4004] and named(s.hellos[1]) == ["resume"]
        await c.close()
        return s


async def test_a_lease_that_is_refused_for_good_stops_the_client_and_nothing_was_executed():
    async with Server() as s:
        s.leases.refuse = 4403
        c = chat(s)
        await attached(s)
        assert (await fails(Stopped, post(c))).args[0] == 4403
        assert len(s.hellos) == 1 and not s.executed
        return s


async def test_a_command_that_is_too_large_asks_for_nothing():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        assert (await fails(Refused, post(c, "y" * 70000))).args[0] == "too_large"
        await said(c, sock)
        assert not asks(sock)
        await c.close()
        return s


async def test_a_resume_that_says_nothing_of_the_lease_that_was_named_is_4410():
    async with Server() as s:
        c = chat(s)
        await within(post(c, "a"))
        s.leases.hide = True
        c.cut()
        await within(post(c, "b"))
        assert c.closes == [1006, 4410] and len(s.leases.all) == 1
        assert [named(h) for h in s.hellos[1:]] == [["resume", "lease"], ["lease"]]
        assert texts(s) == ["a", "b"]
        await c.close()
        return s


async def test_a_resume_with_another_lease_than_was_named_is_4410():
    async with Server() as s:
        c = chat(s)
        await within(post(c, "a"))
        s.leases.pretend = "f" * 32
        c.cut()
        await within(post(c, "b"))
        assert c.closes == [1006, 4410] and len(s.leases.all) == 1
        assert texts(s) == ["a", "b"]
        await c.close()
        return s


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
        await is_noted(s, "5.23 LEASE twice on an attachment")


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


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
