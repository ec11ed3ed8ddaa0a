"""Tests of steadfast_client.py against strict_server.py: python3 test_client.py [PART_OF_A_NAME]

Those of the other test_*.py are among them.
"""

import asyncio, sys
from collections import ChainMap
import scenario, test_cancel, test_direct, test_frames, test_lease, test_lease_breaks
import test_strict_server
from claims import chat, fails, main, post, texts
from dialing import Dialing
from frames import Broken, Failed, IdReused, Refused, Stopped, Unknown, parse
from steadfast_client import Client
from strict_server import Server


async def test_parse():
    assert (
        parse(' [ 3 , 1,2,3 ,0, {"a":[1]} ] ') == [3, 1, 2, 3, 0, ' {"a":[1]} ']
        and parse("[3,1,2,3,0,{}]")[5] == "{}"
    )
    assert parse("[0,5]") == [0, 5] and parse("[128]") is None and parse('[255,{"x":[]}] ') is None
    assert parse("[3,1,2,3,0,{broken]")[5] == "{broken"
    for bad in (
        "",
        "[",
        "[]",
        "{}",
        "[0]",
        "[0,1,2]",
        "[0,-1]",
        "[0,1.5]",
        "[0,9007199254740992]",
        "[14]",
        "[12,7.5]",
        '[255,{"x"',
        "[255,[}]",
        "[128]]",
        '[26,{"sub":1,"sub":1,"code":"x"}]',
        '[26,{"sub":1,"code":"\\ud800"}]',
        "[40,1]",
        "[256]",
        "[true]",
        "[0,1]x",
        "[3,1,2,3,2,{}]",
        "[3,1,2,3,0,{}",
        "[21,[]]",
        '[1,1,1,1,0,"a",{}]',
        '["0",1]',
    ):
        try:
            parse(bad)
        except Broken as e:
            assert e.args[0] == 4400
        else:
            raise AssertionError(f"accepted {bad!r}")


async def test_outcomes():
    async with Server() as s:
        c = chat(s)
        assert (await post(c)).startswith("id-")
        e = await fails(Failed, c.call("fail", {}))
        assert e.args == ("error", "no_such_room", {"room": "x"}), e.args
        assert (await fails(Failed, c.call("odd", {}))).args[0] == "internal"
        assert (await fails(Refused, c.call("post", {"room": "r", "text": "y" * 70000}))).args[
            0
        ] == "too_large"
        await post(c, deadline=5)
        s.refusals = [("unsupported", 0)]
        assert (await fails(Refused, c.call("nonsense", {}))).args[0] == "unsupported"
        await c.close()
        await asyncio.sleep(0.05)
        assert c.closes == [1000] and not s.sessions, (c.closes, s.sessions)
        assert next(iter(s.leases.all.values())).low == 6  # 5.15
        return s


async def test_id_reused_is_an_error_of_its_own_and_resolves_the_command():
    async with Server() as s:
        c = chat(s)
        assert (await fails(IdReused, c.call("reuse", {}))).args == ("id_reused", "", {})
        await post(c)
        assert next(iter(s.leases.all.values())).low == 2  # 5.4
        await c.close()
        return s


async def test_many_within_window_and_span():
    async with Server(frames=4, span=6, delay=0.001) as s:
        c = chat(s)
        await asyncio.wait_for(
            asyncio.gather(*(post(c, f"{i}" + "z" * (i % 7) * 300) for i in range(100))), 10
        )
        assert [int(t.rstrip("z")) for t in texts(s)] == list(range(100))
        await c.close()
        return s


async def test_acks_alone():
    async with Server() as s:
        c = chat(s)
        await post(c)
        await asyncio.sleep(0.35)
        sock = next(iter(s.sockets))
        assert sock.got[-1] == [0, 1, 2] and not sock.session.replay, sock.got
        await c.close()
        return s


async def test_retry_refusals_keep_order():
    async with Server(frames=3) as s:
        c = chat(s)
        await post(c, "0")
        s.refusals = [("overload", 100), ("rate_limited", 50)]
        await asyncio.wait_for(asyncio.gather(*(post(c, str(i)) for i in range(1, 9))), 5)
        assert texts(s) == [str(i) for i in range(9)], texts(s)
        await c.close()
        return s


async def test_resume_replays_and_new_session_resubmits():
    async with Server(delay=0.01) as s:
        c = chat(s)
        await post(c, "first")
        for i in range(6):
            posts = [post(c, f"{i}.{j}") for j in range(5)]
            await asyncio.sleep(0.012)
            if i % 2:  # the session is lost as well
                s.forget_sessions()
            c.cut()
            await asyncio.wait_for(asyncio.gather(*posts), 5)
        assert texts(s) == ["first"] + [f"{i}.{j}" for i in range(6) for j in range(5)], texts(s)
        assert [w["resumed"] for w in c.welcomes] == [False, True, False, True, False, True, False]
        await c.close()
        return s


async def test_lost_welcome_and_lost_lease():
    async with Server() as s:
        c = chat(s)
        await post(c)
        s.lose_welcome = True
        c.cut()
        await post(c)
        assert [w["gen"] for w in c.welcomes] == [1, 3] and c.welcomes[1]["resumed"]
        s.mute = True
        lost = post(c, "lost")
        await asyncio.sleep(0.05)
        c.gate.clear()
        c.cut()
        await asyncio.sleep(0.05)
        kept = post(c, "kept")
        s.forget_sessions(), s.leases.all.clear()
        s.mute = False
        c.gate.set()
        await fails(Unknown, lost)
        await asyncio.wait_for(kept, 5)
        assert texts(s)[-1] == "kept" and c.outbox.next == 2
        await c.close()
        return s


async def test_close_codes():
    async with Server() as s:
        for code, resumes in (
            (1011, True),
            (4004, True),
            (4002, True),
            (4408, True),
            (4500, True),
            (4100, False),
            (4410, False),
        ):
            c = chat(s)
            await post(c)
            await s.close_all(code)
            await post(c)
            assert [w["resumed"] for w in c.welcomes] == [False, resumes], code
            assert c.welcomes[1]["lease"]["state"] == "ok"
            await c.close()
        for code, dials in ((4300, 1), (4401, 1), (4409, 1), (4201, 3), (4410, 3), (1009, 3)):
            s.reject, before = code, len(s.hellos)
            c = chat(s)
            assert (await fails(Stopped, post(c))).args[0] == code
            assert len(s.hellos) - before == dials, (code, len(s.hellos) - before)
        s.reject = None
        return s


async def test_goaway():
    async with Server() as s:
        c = chat(s)
        await post(c)
        sock = next(iter(s.sockets))
        await sock.send([27, {"after_ms": 300, "deadline_ms": 1000}])
        await asyncio.sleep(0.05)
        held = post(c, "held")
        await asyncio.sleep(0.05)
        assert not any(f[0] == 1 and f[6]["text"] == "held" for f in sock.got)
        start = asyncio.get_running_loop().time()
        await sock.ws.close(4010)
        await asyncio.wait_for(held, 5)
        assert asyncio.get_running_loop().time() - start >= 0.29 and c.welcomes[1]["resumed"]
        await c.close()
        return s


async def test_heartbeats():
    async with Server(heartbeat=(100, 50, 2)) as s:
        c = chat(s)
        await post(c)
        sock = next(iter(s.sockets))
        await sock.send([12, 7])
        await asyncio.sleep(0.3)
        assert [13, 7] in sock.got and [12, 0] in sock.got and len(c.welcomes) == 1
        s.mute = True
        await asyncio.sleep(0.15)
        s.mute = False
        await asyncio.sleep(0.6)
        s.mute = True
        while not c.closes:
            await asyncio.sleep(0.01)
        s.mute = False
        assert c.closes == [4003]
        await post(c)
        await c.close()
        return s


async def test_subscription_credit_skip_position():
    async with Server(retain=1000) as s:
        c, d = chat(s), chat(s)
        sub = d.subscribe("room", "r", credit=(4, 2000))
        assert (await sub.get())[:4] == ("reset", None, 0, "initial")
        assert (await sub.get()).kind == "snapshot"
        for i in range(50):
            await post(c, str(i))
        await asyncio.sleep(0.05)
        assert len(sub.items) == 4, len(sub.items)  # nothing beyond the credit
        seen = []
        while len(seen) < 50:
            if len(seen) in (10, 30) and len(d.welcomes) == len(seen) // 20 + 1:
                d.cut()
                while len(d.welcomes) < len(seen) // 20 + 2:
                    await asyncio.sleep(0.01)
            seen.append((await asyncio.wait_for(sub.get(), 2)).body["text"])
        assert seen == [str(i) for i in range(50)], seen
        s.skip_next = 7
        for i in range(10):
            await post(c, f"s{i}")
        assert [(await asyncio.wait_for(sub.get(), 2)).body["text"] for _ in range(3)] == [
            "s7",
            "s8",
            "s9",
        ]
        d.unsubscribe(sub)
        bad = d.subscribe("nonsense", "")
        assert (await asyncio.wait_for(bad.get(), 2))[:4] == ("ended", None, 0, "unsupported")
        await c.close(), await d.close()
        return s


async def test_upgrades_refused_by_status():
    for connected, status, expected in (
        (False, 401, 4201),
        (False, 403, 4403),
        (False, 404, 4400),
        (False, 302, 4400),
        (False, 400, 4400),
        (True, 404, 1006),
        (True, 400, 1006),
        (False, 429, 1006),
        (False, 503, 1006),
    ):
        d = Dialing(30.0)
        if connected:
            d.welcome()
        assert d.refused_upgrade(status) == expected, (connected, status)


async def test_retry_after_counts_in_seconds_and_where_the_client_backs_off():
    for status, after, expected in (
        (503, "7", 7),
        (503, "9999", 300),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (401, "7", None),
    ):
        d = Dialing(30.0)
        d.refused_upgrade(status, after)
        assert d.after == expected, (status, after, d.after)


async def test_a_redirect_is_not_followed():
    async def redirect(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {s.url}\r\n\r\n".encode())
        writer.close()

    async with Server() as s:
        port = await asyncio.start_server(redirect, "127.0.0.1", 0)
        c = Client(f"ws://127.0.0.1:{port.sockets[0].getsockname()[1]}/", "chat", "1.0")
        await asyncio.wait_for(c.task, 5)
        assert c.stopped.args[0] == 4400 and not s.hellos, (c.stopped, s.hellos)
        port.close()
        return s


async def test_every_byte_is_life_and_a_listener_pings():
    async with Server(heartbeat=(100, 50, 2)) as s:
        c = chat(s)
        sub = c.subscribe("room", "r")
        await sub.get(), await sub.get()
        sock = next(iter(s.sockets))
        pings = sum(f[0] == 12 for f in sock.got)
        s.mute = True  # a server in the middle of a message can answer nothing (9.3)
        message = b'[5,1,1,"posted",{"text":"' + b"x" * 60 + b'"}]'
        for byte in bytes([0x81, len(message)]) + message:
            sock.ws.transport.write(bytes([byte]))
            await asyncio.sleep(0.01)
        assert (await asyncio.wait_for(sub.get(), 2)).body == {"text": "x" * 60}
        assert not c.closes and sum(f[0] == 12 for f in sock.got) > pings
        await c.close()
        return s


async def test_a_message_too_long():
    async with Server() as s:
        c = chat(s, message_bytes=2000)
        sub = c.subscribe("room", "r")
        await sub.get(), await sub.get()
        assert s.hellos[0]["message_bytes"] == 2000
        await next(iter(s.sockets)).send([26, {"sub": sub.sub, "code": "too_large"}])
        assert (await asyncio.wait_for(sub.get(), 2)).name == "too_large" and not c.subs.all
        for i in range(3):
            while len(c.welcomes) <= i:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            await next(iter(s.sockets)).send([5, 1, 1, "posted", {"text": "x" * 3000}])
            while len(c.closes) <= i:
                await asyncio.sleep(0.01)
        await asyncio.wait([c.task])
        assert c.closes == [1009] * 3 and c.stopped.args[0] == 1009, c.closes
        return s


async def test_position_is_due_by_the_granted_credit():
    async with Server(retain=1000) as s:
        s.grant = {"events": 8, "bytes": 4000}
        c = chat(s)
        sub = c.subscribe("room", "r", credit=(64, 1 << 20))
        await sub.get(), await sub.get()
        for i in range(6):
            await post(c, str(i))
        await asyncio.sleep(0.05)
        s.positions.clear()
        for _ in range(5):
            await asyncio.wait_for(sub.get(), 2)
        await asyncio.sleep(0.05)
        assert [ts for ts, _ in s.positions] == [2, 4], s.positions
        await sub.get()
        await asyncio.sleep(0.3)
        assert s.positions[-1][0] == 5, s.positions  # 200 ms after it was finished with
        await c.close()
        return s


async def test_a_live_reset_keeps_bytes_and_is_told_across_a_break():
    async with Server() as s:
        c = chat(s)
        sub = c.subscribe("room", "r")
        await sub.get(), await sub.get()
        await post(c, "a")
        await sub.get()
        waiting = asyncio.ensure_future(sub.get())
        await asyncio.sleep(0.3)
        size = s.positions[-1][1]
        assert s.positions[-1][0] == 1 and size > 0
        sock, room = next(iter(s.sockets)), s.rooms["r"]
        room.epoch, live = "f" * 16, sock.topics.subs.pop(1)
        sock.topics.subs[2] = {**live, "number": 2, "sent": 1, "position": (1, 0)}
        head = {"sub": sub.sub, "number": 2, "epoch": room.epoch, "ts": 1, "head": 1}
        waiting.cancel()
        await asyncio.sleep(0.01)
        await sock.send([24, {**head, "snapshot": False, "reset": "epoch"}])
        await asyncio.sleep(0.05)
        assert s.positions[-1] == [0, size], s.positions  # 7.15, 7.16
        assert sub.position == (room.epoch, 1)  # 7.17
        c.cut()
        await post(c, "b")
        assert (await asyncio.wait_for(sub.get(), 2))[:4] == ("reset", room.epoch, 1, "epoch")
        assert (await asyncio.wait_for(sub.get(), 2)).body["text"] == "b"
        await c.close()
        return s


async def test_what_comes_again_is_dropped_and_its_bytes_count():
    async with Server() as s:
        c = chat(s)
        sub = c.subscribe("room", "r")
        await sub.get(), await sub.get()
        await post(c, "a")
        assert (await sub.get()).body["text"] == "a"
        c.cut()
        await post(c, "b")
        s.positions.clear()
        assert (await asyncio.wait_for(sub.get(), 2)).body["text"] == "b"
        await asyncio.sleep(0.3)
        assert s.positions and s.positions[-1][0] == 1 and s.positions[-1][1] > 0, s.positions
        await c.close()
        return s


async def test_a_longer_message_ends_the_subscription_that_it_is_of():
    async with Server() as s:
        c = chat(s, message_bytes=2000)
        sub = c.subscribe("room", "r")
        await sub.get(), await sub.get()
        (sock,) = s.sockets
        await sock.send([5, 1, 1, "posted", {"text": "x" * 3000}])
        item = await asyncio.wait_for(sub.get(), 2)
        assert (item.kind, item.name) == ("ended", "too_large")
        await post(c)  # the client goes on
        assert [25, {"sub": 1}] in sock.got and not c.closes and not c.subs.all
        await c.close()
        return s


async def test_what_the_server_would_not_read_is_refused_at_once():
    async with Server() as s:
        c = chat(s)
        for name in ("", "a b", "x" * 65):
            await fails(ValueError, c.call(name, {}))
        await post(c)
        try:
            c.volatile("typing", {"text": "x" * 70000})
        except Refused as e:
            assert e.args == ("too_large",)
        else:
            raise AssertionError("a volatile beyond frame_bytes was taken")
        await post(c)
        assert not c.closes
        await c.close()
        return s


async def test_broken_topic_sequence():
    async with Server() as s:
        c = chat(s)
        sub = c.subscribe("room", "r")
        await sub.get(), await sub.get()
        event = asyncio.ensure_future(sub.get())
        await asyncio.sleep(0.05)
        await next(iter(s.sockets)).send([5, 1, 3, "posted", {}])
        while not c.closes:
            await asyncio.sleep(0.01)
        assert c.closes == [4410]
        await post(c)
        assert not c.welcomes[1]["resumed"]
        assert (await asyncio.wait_for(event, 2)).body[
            "text"
        ] == "x"  # from the old position, no reset
        await c.close()
        return s


async def test_scenario():
    async with Server(retain=100) as s:

        async def control(reader, writer):
            await reader.readline()
            await s.close_all(4010, goaway=100)
            writer.write(b"ok\n")

        port = await asyncio.start_server(control, "127.0.0.1", 0)
        assert await scenario.main(s.url, port.sockets[0].getsockname()[1]) == 0
        port.close()
        return s


if __name__ == "__main__":
    modules = (test_cancel, test_direct, test_frames, test_lease, test_lease_breaks)
    others = (vars(m) for m in (*modules, test_strict_server))
    sys.exit(asyncio.run(main(dict(ChainMap(globals(), *others)))))
