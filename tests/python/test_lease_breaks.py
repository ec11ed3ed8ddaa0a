"""Claims of 5.24 and 5.25 where a socket breaks around LEASE, or a frame tells of another lease.

    python3 test_lease_breaks.py [PART_OF_A_NAME]
"""

import asyncio, sys
from claims import asks, attached, chat, heard, kinds, main, named
from claims import post, said, texts, until, waiting, within
from strict_server import Server


async def test_a_socket_that_breaks_before_the_answer_asks_again():
    async with Server() as s:
        c, _, (posted,) = await waiting(s, "x")
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
        c, _, (posted,) = await waiting(s, "x")
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
        c, _, posts = await waiting(s, "0", "1", "2")
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


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
