"""Direct messages (4.16, 4.17): in order, once, acknowledged, and told of where some may be missing.

    python3 test_direct.py [PART_OF_A_NAME]
"""

import asyncio, sys
from claims import attached, chat, heard, main, post, until, within
from strict_server import Server


async def taken(client, count):
    return [(await within(client.direct()))[:2] for _ in range(count)]


async def test_direct_messages_come_in_order_with_answers_between():
    async with Server() as s:
        c = chat(s)
        await attached(s)
        for i in range(40):  # more than the window: it moves, so they are acknowledged
            await s.direct("ada", "warned", {"i": i})
            if i % 8 == 0:
                await within(post(c, str(i)))
        assert [(await within(c.direct())).body["i"] for _ in range(40)] == list(range(40))
        await c.close()
        assert (await within(c.direct())).kind == "ended" == (await within(c.direct())).kind
        return s


async def test_direct_messages_are_acknowledged_before_the_application_takes_them():
    async with Server() as s:
        c = chat(s, window=(8, 1 << 20))
        sock = await attached(s)
        for i in range(3):
            await s.direct("ada", "warned", {})
        await until(lambda: [0, 3, 1] in sock.got)  # 4.5: after 250 ms
        for i in range(4):
            await s.direct("ada", "warned", {})
        await heard(c, sock), await heard(c, sock)
        assert [0, 7, 1] in sock.got  # 4.5: half of the window
        for i in range(20):
            await s.direct("ada", "warned", {})
            await heard(c, sock)
        assert sock.session.acked_to >= 24
        assert c.inbox.messages == 27
        await c.close()
        return s


async def test_half_of_the_bytes_of_the_window_are_acknowledged_at_once():
    async with Server() as s:
        c = chat(s, window=(64, 1000))
        sock = await attached(s)
        for i in range(2):
            await s.direct("ada", "warned", {"text": "x" * 300})
        await heard(c, sock), await heard(c, sock)
        assert [0, 2, 1] in sock.got
        await c.close()
        return s


async def test_a_resume_repeats_what_was_not_accepted_and_nothing_twice():
    async with Server() as s:
        c = chat(s)
        count = 0
        for attachment in range(1, 5):
            await until(lambda: len(c.welcomes) == attachment)
            for _ in range(3):
                await s.direct("ada", "warned", {"i": count})
                count += 1
            c.gate.clear()
            c.cut()
            await until(lambda: not s.sockets)
            await s.direct("ada", "warned", {"i": count})  # nobody is there
            count += 1
            c.gate.set()
        assert [(await within(c.direct())).body["i"] for _ in range(count)] == list(range(count))
        assert all(w["resumed"] for w in c.welcomes[1:])
        await c.close()
        assert len(c.inbox.items) == 0
        return s


async def test_a_lost_session_is_told_in_its_place():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        await s.direct("ada", "before", {})
        await heard(c, sock)
        s.forget_sessions()
        c.cut()
        again = await attached(s, 2)
        await s.direct("ada", "after", {})
        await heard(c, again)
        expected = [("message", "before"), ("gap", "session"), ("message", "after")]
        assert await taken(c, 3) == expected
        c.cut()  # resumed: nothing is missing
        again = await attached(s, 3)
        await s.direct("ada", "resumed", {})
        assert await taken(c, 1) == [("message", "resumed")]
        await c.close()
        return s


async def test_the_first_session_is_no_gap():
    async with Server() as s:
        c = chat(s)
        await attached(s)
        await s.direct("ada", "first", {})
        assert await taken(c, 1) == [("message", "first")]
        await c.close()
        return s


async def test_a_full_inbox_is_told_in_its_place():
    async with Server() as s:
        c = chat(s, inbox=(3, 1 << 20))
        sock = await attached(s)
        for i in range(6):
            await s.direct("ada", f"m{i}", {})
        await heard(c, sock)
        assert await taken(c, 1) == [("message", "m0")]
        await s.direct("ada", "m6", {})
        await s.direct("ada", "m7", {})
        await heard(c, sock)
        assert await taken(c, 5) == [
            ("message", "m1"),
            ("message", "m2"),
            ("gap", "full"),
            ("message", "m6"),
            ("gap", "full"),
        ]
        await s.direct("ada", "m8", {})
        assert await taken(c, 1) == [("message", "m8")]
        assert sock.session.sent == 9 and not c.closes
        await c.close()
        return s


async def test_an_inbox_is_bounded_in_bytes_too():
    async with Server() as s:
        c = chat(s, inbox=(100, 1000))
        sock = await attached(s)
        for name in ("a", "b", "c"):
            await s.direct("ada", name, {"text": "x" * 400})
        await heard(c, sock)
        assert c.inbox.bytes <= 1000
        assert await taken(c, 3) == [("message", "a"), ("message", "b"), ("gap", "full")]
        await s.direct("ada", "huge", {"text": "x" * 2000})  # alone it fits
        await s.direct("ada", "small", {})
        await heard(c, sock)
        assert await taken(c, 2) == [("message", "huge"), ("gap", "full")]
        assert c.inbox.bytes == 0
        await c.close()
        return s


async def test_gaps_with_nothing_between_are_one():
    async with Server() as s:
        c = chat(s, inbox=(1, 1000))
        sock = await attached(s)
        for name in ("a", "b"):
            await s.direct("ada", name, {})
        await heard(c, sock)
        for count in range(2, 5):
            s.forget_sessions()
            c.cut()
            await attached(s, count)
        assert len(c.inbox.items) == 2
        assert await taken(c, 2) == [("message", "a"), ("gap", "session")]
        await c.close()
        return s


async def test_a_direct_message_that_does_not_fit_concerns_itself_alone():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        for body in ("{broken", "5", "{}"):
            await s.direct("ada", "warned", body)
        assert await taken(c, 3) == [("bad", "warned")] * 2 + [("message", "warned")]
        assert not c.closes and sock.session.sent == 3
        await c.close()
        return s


async def test_a_direct_message_out_of_sequence_is_4410():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        for seq in (2, 0):
            closes = len(c.closes)
            await sock.send([14, seq, 0, "warned"], "{}")
            await until(lambda: len(c.closes) > closes)
            sock = await attached(s, closes + 2)
        assert c.closes == [4410, 4410] and not c.inbox.messages
        await c.close()
        return s


async def test_a_direct_message_that_acknowledges_too_much_is_4410():
    async with Server() as s:
        c = chat(s)
        sock = await attached(s)
        await sock.send([14, 1, 1, "warned"], "{}")
        await until(lambda: c.closes)
        assert c.closes == [4410]
        await c.close()
        return s


async def test_a_direct_message_before_welcome_is_4410():
    async with Server() as s:
        s.before_welcome = [14, 1, 0, "warned", {}]
        c = chat(s)
        await until(lambda: c.closes)
        assert c.closes[0] == 4410
        s.before_welcome = None
        await within(post(c))
        await c.close()
        return s


async def test_a_direct_message_that_the_client_does_not_take_is_not_sent():
    async with Server() as s:
        c = chat(s, message_bytes=2000)
        sock = await attached(s)
        await s.direct("ada", "long", {"text": "x" * 3000})
        await s.direct("ada", "short", {})
        assert await taken(c, 1) == [("message", "short")]
        await sock.send([14, 2, 0, "long"], '{"text":"' + "x" * 3000 + '"}')  # all the same (2.7)
        await until(lambda: c.closes)
        assert c.closes == [1009]
        await c.close()
        return s


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
