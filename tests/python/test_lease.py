"""Claims of 5.23 and 5.24: a client has a lease from its first command on.

    python3 test_lease.py [PART_OF_A_NAME]
"""

import asyncio, sys
from claims import asks, attached, chat, fails, heard, kinds, main, named
from claims import post, said, texts, until, waiting, within
from frames import Refused, Stopped
from strict_server import Server


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
        c, sock, posts = await waiting(s, *(str(i) for i in range(30)))
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


async def test_a_lease_whose_members_are_absent_or_do_not_fit_is_4400():
    whole = {"id": "f" * 32, "state": "new", "span": 16, "ttl_ms": 60000}
    for wrong in ({"id": 7}, {"state": None}, {"span": "16"}, {"span": -1}, {"ttl_ms": None}):
        async with Server() as s:
            c = chat(s)
            sock = await attached(s)
            await sock.send([28, {**whole, **wrong}])
            assert (await fails(Stopped, until_stopped(c))).args[0] == 4400, wrong
            assert c.outbox.lease is None
            assert not s.wrong
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


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
