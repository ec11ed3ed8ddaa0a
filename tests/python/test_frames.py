"""Frames against the test vectors, which are the same for every language.

    python3 test_frames.py [PART_OF_A_NAME]
"""

import asyncio, json, sys
from pathlib import Path
import frames
from claims import main
from frames import FROM_CLIENT, FROM_SERVER, Broken, parse, read

VECTORS = json.loads(
    (Path(__file__).parents[2] / "runtime/testdata/frames.json").read_text(encoding="utf-8")
)
LAYOUTS = {"client": FROM_CLIENT, "server": FROM_SERVER}


def same(told, seen):
    """`told` has members that were derived: dup as a bool, an absent member as null, …"""
    if isinstance(told, dict) and isinstance(seen, dict):
        return all(same(v, seen.get(k)) for k, v in told.items())
    return told == seen or told == 2**32 - 1 < seen  # 3.3: of a limit


async def test_frames_of_the_vectors_are_read_as_they_say():
    for vector in VECTORS["frames"]:
        layouts, name, fields = LAYOUTS[vector["direction"]], vector["name"], vector["fields"]
        frame = parse(vector["text"], layouts)
        if frame is None:
            assert vector["frame"] == "IGNORED", name
            continue
        kind = getattr(frames, vector["frame"])
        kinds = (1, 2) if kind == frames.COMMAND else (kind,)
        assert frame[0] in kinds, name
        seen = dict(zip(layouts[frame[0]], frame[1:]))
        seen = seen.get("object", seen)
        if "back" in seen:
            seen["low"] = seen["n"] - seen.pop("back")
        if "later version" in name or "nobody knows" in name:  # the vectors tell what a word that nobody knows counts as
            fields = {k: v for k, v in fields.items() if k not in ("code", "reason", "reset", "verdict")}
        if "body" in seen:
            seen["body"], fields["body"] = seen["body"].strip(), fields["body"].strip()
        assert same(fields, seen), (name, fields, seen)


async def test_malformed_frames_of_the_vectors_are_4400():
    for vector in VECTORS["malformed"]:
        try:
            frame = parse(vector["text"], LAYOUTS[vector["direction"]])
        except Broken as e:
            assert e.args[0] == vector["close"], (vector["why"], e)
        else:
            raise AssertionError(f"{vector['why']}: {vector['text'][:200]} was read as {frame}")


async def test_what_is_unknown_is_ignored_whatever_it_holds():
    deep = '{"sub":1,"sub":2,"n":NUMBER,"half":"\\ud800"}'.replace("NUMBER", "9" * 5000)
    text = f'[26,{{"more":{deep},"span":1,"span":2,"sub":3,"code":"x","more":null}}]'
    assert parse(text) == [26, {"sub": 3, "code": "x"}]
    assert parse("[130,[{}]]") is None


async def test_a_body_is_json_and_an_object_where_it_must_be():
    assert read('{"a":[1]}') == ({"a": [1]}, True) and read(" {} ") == ({}, True)
    assert read("5", object) == (5, True) and read("null", object) == (None, True)
    for bad in ("5", "[]", "null", "{broken", "{},1", '{"a":NaN}', "[" * 100000):
        assert read(bad) == (bad, False), bad[:20]
    assert read("Infinity", object) == ("Infinity", False)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(globals())))
