"""The strict server notes each way to break the rules of leases (4.7, 5.23, 5.24).

    python3 test_strict_server.py [PART_OF_A_NAME]
"""

import asyncio, json, sys
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


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
