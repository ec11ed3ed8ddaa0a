"""A caller that does not want its command any more (5.27).

    python3 test_cancel.py [PART_OF_A_NAME]
"""

import asyncio, sys
from claims import attached, chat, fails, heard, kinds, main, post, said, texts, until, within
from frames import Cancelled, Failed, Refused
from strict_server import Server


def begin(c, text):
    return c.begin("post", {"room": "r", "text": text})


def cancels(sock):
    return [f[1] for f in sock.got if f[0] == 129]


def commands(sock):
    return [(f[0], f[3]) + ((f[5],) if f[0] == 2 else ()) for f in sock.got if f[0] in (1, 2)]


async def leased(s, **kw):
    """A client that has a lease, and its socket."""
    c = chat(s, eager=True, **kw)
    return c, await attached(s)


async def refused_for_now(s):
    """A client, its socket, and two commands; the first is not to come again for long."""
    c, sock = await leased(s)
    s.refusals = [("overload", 60000)]
    gone, kept = begin(c, "gone"), begin(c, "kept")
    await until(lambda: not s.refusals)
    await heard(c, sock)
    return c, sock, gone, kept


async def resumes(s, c, count):
    c.gate.set()
    return await attached(s, count)


async def leaves(s, c):
    c.gate.clear()
    c.cut()
    await until(lambda: not s.sockets)


async def test_a_command_that_did_not_begin_is_refused_without_waiting_for_its_order():
    async with Server() as s:
        c, sock = await leased(s)
        s.may_begin.clear()
        first, second = begin(c, "1"), begin(c, "2")
        await said(c, sock)
        c.cancel(second), c.cancel(second)  # it is said once
        assert (await fails(Refused, second.done)).args == ("expired",)
        assert not first.done.done() and cancels(sock) == [2]
        assert kinds(sock).index(129) > 1 + kinds(sock).index(1)
        s.may_begin.set()
        await within(first.done)
        assert texts(s) == ["1"]
        c.cancel(second), c.cancel(first)  # resolved: nothing is said of them
        await said(c, sock)
        assert cancels(sock) == [2]
        await c.close()
        return s


async def test_a_handler_that_runs_is_told_and_its_outcome_counts():
    async with Server() as s:
        c, sock = await leased(s)
        waits = c.begin("wait", {})
        await said(c, sock)
        c.cancel(waits)
        assert (await fails(Failed, waits.done)).args[:2] == ("error", "told")
        s.may_finish.set()
        waits = c.begin("wait", {})
        c.cancel(waits)
        assert await within(asyncio.gather(waits.done, return_exceptions=True))
        await c.close()
        return s


async def test_a_command_that_was_never_sent_is_resolved_at_once():
    async with Server() as s:
        c, sock = await leased(s)
        await leaves(s, c)
        gone, kept = begin(c, "gone"), begin(c, "kept")
        c.cancel(gone)
        assert (await fails(Cancelled, gone.done)).args == ("cancelled",)
        sock = await resumes(s, c, 2)
        await within(kept.done)
        assert texts(s) == ["kept"] and commands(sock) == [(1, 1)] and not cancels(sock)
        await c.close()
        return s


async def test_a_call_that_is_not_awaited_any_more_is_not_cancelled():
    async with Server() as s:
        c, sock = await leased(s)
        s.may_begin.clear()
        posted = post(c, "kept")
        await said(c, sock)
        posted.cancel()
        await said(c, sock)
        s.may_begin.set()
        await until(lambda: texts(s) == ["kept"])  # 6.2
        assert not cancels(sock)
        await c.close()
        return s


async def test_what_was_cancelled_is_said_on_each_attachment_and_sent_with_deadline_0():
    async with Server() as s:
        c, sock = await leased(s)
        s.may_begin.clear()
        s.mute = True  # the command and CANCEL are lost with the socket
        lost = begin(c, "lost")
        c.cancel(lost)
        await until(lambda: cancels(sock) == [1])
        for count in range(2, 5):
            await leaves(s, c)
            sock = await resumes(s, c, count)
            await until(lambda: cancels(sock) == [1])
            assert commands(sock) == [(2, 1, 0)] and kinds(sock).index(129) > kinds(sock).index(2)
        await leaves(s, c)
        s.mute = False
        await resumes(s, c, 5)
        assert (await fails(Refused, lost.done)).args == ("expired",)
        s.may_begin.set()
        await within(post(c, "after"))
        assert texts(s) == ["after"] and s.executed[0][0] == 2
        await c.close()
        return s


async def test_a_cancelled_command_that_was_accepted_is_named_again_without_the_command():
    async with Server() as s:
        c, sock = await leased(s)
        waits = c.begin("wait", {})
        await until(lambda: 1 in kinds(sock))
        s.mute = True  # CANCEL alone is lost
        c.cancel(waits)
        await until(lambda: cancels(sock) == [1])
        await leaves(s, c)
        s.mute = False
        sock = await resumes(s, c, 2)
        assert (await fails(Failed, waits.done)).args[:2] == ("error", "told")
        assert cancels(sock) == [1] and not commands(sock)
        await c.close()
        return s


async def test_a_command_cancelled_without_a_socket_is_named_on_the_next_one():
    async with Server() as s:
        c, sock = await leased(s)
        s.may_begin.clear()
        first, second = begin(c, "1"), begin(c, "2")
        await said(c, sock)
        await leaves(s, c)
        c.cancel(second)
        assert not second.done.done()  # it may have been executed
        sock = await resumes(s, c, 2)
        assert (await fails(Refused, second.done)).args == ("expired",)
        s.may_begin.set()
        await within(first.done)
        assert cancels(sock) == [2] and texts(s) == ["1"]
        await c.close()
        return s


async def test_after_a_lost_session_a_cancelled_command_comes_again_in_order_with_deadline_0():
    async with Server() as s:
        c, sock = await leased(s)
        s.may_begin.clear()
        posts = [begin(c, str(i)) for i in range(1, 4)]
        await said(c, sock)
        await leaves(s, c)
        s.forget_sessions()
        c.cancel(posts[1])
        sock = await resumes(s, c, 2)
        assert (await fails(Refused, posts[1].done)).args == ("expired",)
        s.may_begin.set()
        await within(asyncio.gather(posts[0].done, posts[2].done))
        assert not c.welcomes[1]["resumed"] and texts(s) == ["1", "3"]
        assert commands(sock) == [(1, 1), (2, 2, 0), (1, 3)] and cancels(sock) == [2]
        await c.close()
        return s


async def test_a_command_that_was_refused_for_now_is_resolved_and_out_of_the_way():
    async with Server() as s:
        c, sock, gone, kept = await refused_for_now(s)
        c.cancel(gone)
        assert (await fails(Cancelled, gone.done)).args == ("cancelled",)
        c.outbox.numbered[2].not_before = 0  # its retry_ms was as long
        await within(post(c, "new"))
        await within(kept.done)
        assert texts(s) == ["kept", "new"] and not cancels(sock)
        assert [n for _, n, *_ in commands(sock)] == [1, 2, 2, 3]
        await c.close()
        return s


async def test_a_refusal_for_now_after_cancel_resolves_the_command():
    async with Server() as s:
        c, sock = await leased(s)
        s.mute = True
        gone = begin(c, "gone")
        c.cancel(gone)
        await until(lambda: cancels(sock) == [1])
        await leaves(s, c)
        s.mute, s.refusals = False, [("overload", 0)]
        sock = await resumes(s, c, 2)
        assert (await fails(Cancelled, gone.done)).args == ("cancelled",)
        await within(post(c, "new"))
        assert texts(s) == ["new"] and [n for _, n, *_ in commands(sock)] == [1, 2]
        await c.close()
        return s


async def test_a_refusal_says_nothing_of_what_a_lost_session_carried():
    async with Server() as s:
        c, sock = await leased(s)
        s.mute = True
        left = begin(c, "left")
        await until(lambda: 1 in kinds(sock))
        await leaves(s, c)
        s.forget_sessions()
        s.mute, s.refusals = False, [("overload", 0)]
        c.cancel(left)
        sock = await resumes(s, c, 2)
        assert (await fails(Refused, left.done)).args == ("expired",)
        assert commands(sock) == [(2, 1, 0)] * 2 and cancels(sock) == [1, 1]
        assert not s.executed
        await c.close()
        return s


async def test_a_cancelled_command_whose_lease_expired_is_resolved_like_any_other():
    async with Server() as s:
        c, sock, gone, kept = await refused_for_now(s)
        await leaves(s, c)
        s.forget_sessions(), s.leases.all.clear()
        c.cancel(gone)
        await fails(Cancelled, gone.done)
        kept.not_before = 0
        await resumes(s, c, 2)
        await within(kept.done)
        assert texts(s) == ["kept"] and not s.cancels
        await c.close()
        return s


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
