"""What the tests share: a client of the chat, waits that are bounded, and what runs them."""

import asyncio, itertools, sys, traceback
from steadfast_client import Client
from strict_server import Server

BOUND = 5  # seconds: nothing waits longer for one thing
NUMBERS = itertools.count(1000)  # of fences, each another one


async def within(awaitable, seconds=BOUND):
    return await asyncio.wait_for(awaitable, seconds)


async def fails(kind, awaitable):
    try:
        got = await within(awaitable)
    except kind as e:
        return e
    raise AssertionError(f"expected {kind.__name__}, seen {got!r}")


async def until(condition):
    async def poll():
        while not condition():
            await asyncio.sleep(0.001)

    await within(poll())


def post(c, text="x", room="r", **kw):
    return asyncio.ensure_future(c.call("post", {"room": room, "text": text}, **kw))


def chat(server, **kw):
    return Client(server.url, "chat", "1.0", token="ada", **{"backoff": 0.05, **kw})


def texts(server, room="r"):
    return [t for _, _, t in server.rooms[room].messages]


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


async def waiting(server, *texts):
    """A client, its socket and its posts, which wait for the lease that it has asked for."""
    server.leases.may_grant.clear()
    c = chat(server)
    sock = await attached(server)
    posts = [post(c, text) for text in texts]
    await until(lambda: asks(sock))
    return c, sock, posts


def named(hello):
    return [m for m in ("resume", "lease", "lease_later") if hello.get(m) is not None]


async def main(names):
    bad = 0
    for name, test in names.items():
        if not name.startswith("test_") or not callable(test):
            continue
        if len(sys.argv) > 1 and sys.argv[1] not in name:
            continue
        try:
            server = await asyncio.wait_for(test(), 60)
            assert not server or not server.wrong, server.wrong
            print("pass", name)
        except Exception:
            bad += 1
            print("FAIL", name)
            for s in Server.all:
                print("wrong:", s.wrong)
            traceback.print_exc()
    return 1 if bad else 0
