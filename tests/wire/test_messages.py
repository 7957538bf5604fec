"""Frames and messages: what one side writes the other reads, and nothing that arrives does harm.  G12."""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.wire import messages
from lava.wire.messages import (
    LARGEST_BODY,
    LARGEST_HEADER,
    Ack,
    End,
    Hello,
    HelloOk,
    Log,
    Message,
    Ping,
    Start,
    StartOk,
    WireError,
    check_name,
    decode,
    encode,
    join_route,
    split_route,
)

KINDS = list(messages._KINDS.values())
JOBS = st.from_regex(r"[0-9]{1,18}(\.[0-9]{1,6})?", fullmatch=True).filter(str.isascii)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
OFFSETS = st.integers(0, 2**62 - 1)
NUMBERS = st.integers(-(2**62) + 1, 2**62 - 1)


def values_of(kind: type[Message], name: str, annotation: str) -> st.SearchStrategy[Any]:
    if name == "job":
        return JOBS
    if name in ("offset", "log_length"):
        return OFFSETS
    return {"bytes": st.binary(), "str": TEXT, "int": NUMBERS, "int | None": st.none() | NUMBERS}[annotation]


def messages_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    return st.builds(kind, **{entry.name: values_of(kind, entry.name, str(entry.type)) for entry in fields(kind)})


ANY_MESSAGE = st.one_of([messages_of(kind) for kind in KINDS])


def test_every_kind_of_message_is_known_by_its_tag() -> None:
    assert {kind.tag: kind for kind in Message.__subclasses__()} == messages._KINDS


@given(ANY_MESSAGE)
def test_what_is_encoded_is_decoded(message: Message) -> None:
    assert decode(encode(message)) == message


@given(ANY_MESSAGE)
def test_a_message_begins_with_its_name_and_its_header(message: Message) -> None:
    tag, header, *bodies = encode(message)
    assert tag.decode() == message.tag
    assert json.loads(header).keys() == {entry.name for entry in fields(message) if entry.type != "bytes"}
    assert len(bodies) == sum(entry.type == "bytes" for entry in fields(message))


@given(ANY_MESSAGE, st.dictionaries(TEXT.map("newer ".__add__), TEXT | NUMBERS), st.lists(st.binary()))
def test_g17_what_a_newer_version_adds_is_left_alone(
    message: Message, added: dict[str, object], more: list[bytes]
) -> None:
    tag, header, *bodies = encode(message)
    frames = [tag, json.dumps({**json.loads(header), **added}).encode(), *bodies, *more]
    assert decode(frames) == message


def _is_needed(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.type != "bytes"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.tag)
def test_a_message_without_one_of_its_fields_is_none(kind: type[Message]) -> None:
    whole = {"job": "1", "offset": 0, "log_length": 0, "protocol": 1, "ping_seconds": 5}
    header = {entry.name: whole.get(entry.name, "text") for entry in fields(kind) if _is_needed(entry)}
    bodies = [b"body" for entry in fields(kind) if entry.type == "bytes"]
    assert isinstance(decode([kind.tag.encode(), json.dumps(header).encode(), *bodies]), kind)
    for missing in header:
        cut = {name: value for name, value in header.items() if name != missing}
        with pytest.raises(WireError, match=f"{kind.tag}: '{missing}' is missing"):
            decode([kind.tag.encode(), json.dumps(cut).encode(), *bodies])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
NAMES = sorted({entry.name for kind in KINDS for entry in fields(kind)})
HEADERS = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(NAMES), JSON | JOBS, max_size=len(NAMES)).map(
        lambda value: json.dumps(value).encode()
    ),
)
TAGS = st.binary(max_size=40) | st.sampled_from([kind.tag.encode() for kind in KINDS])


@given(
    st.lists(st.binary(max_size=50), max_size=5)
    | st.tuples(TAGS, HEADERS, st.lists(st.binary(max_size=20), max_size=7)).map(lambda it: [it[0], it[1], *it[2]])
)
def test_g12_whatever_arrives_is_a_message_or_a_wire_error(frames: list[bytes]) -> None:
    try:
        read: Message | str = decode(frames)
    except WireError as error:
        read = str(error)
    match read:
        case str(why):
            assert "\n" not in why
            assert len(why) < 300
        case message:
            assert decode(encode(message)) == message


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([], "at least 2 frames"),
        ([b"PING"], "at least 2 frames"),
        ([b"", b"{}"], "unknown message"),
        ([b"ping", b"{}"], "unknown message"),
        ([b"\xff\xfe", b"{}"], "unknown message"),
        ([b"PING\0", b"{}"], "unknown message"),
        ([b"START_OK", b""], "no JSON"),
        ([b"START_OK", b"\xff"], "no JSON"),
        ([b"START_OK", b"[" * 60_000], "no JSON"),
        ([b"START_OK", b"9" * 60_000], "no JSON"),
        ([b"START_OK", b"[]"], "no object"),
        ([b"START_OK", b"{}"], "'job' is missing"),
        ([b"START_OK", b'{"job": 1}'], "wrong type"),
        ([b"START_OK", b'{"job": null}'], "wrong type"),
        ([b"START_OK", b'{"job": "../../etc"}'], "no id of a job"),
        ([b"START_OK", b'{"job": "1\\n"}'], "no id of a job"),
        ([b"START_OK", b'{"job": ""}'], "no id of a job"),
        ([b"START_OK", b'{"job": "1/2"}'], "no id of a job"),
        ([b"START_OK", b'{"job": "1\\u0000"}'], "no id of a job"),
        ([b"START_OK", b'{"job": "' + b"1" * 19 + b'"}'], "no id of a job"),
        ([b"ACK", b'{"job": "1", "offset": -1}'], "negative"),
        ([b"ACK", b'{"job": "1", "offset": 1e3}'], "wrong type"),
        ([b"ACK", b'{"job": "1", "offset": true}'], "wrong type"),
        ([b"ACK", b'{"job": "1", "offset": NaN}'], "wrong type"),
        ([b"ACK", b'{"job": "1", "offset": 99999999999999999999}'], "out of range"),
        ([b"LOG", b'{"job": "1", "offset": 0}'], "body 'lines' is missing"),
        ([b"START", b'{"job": "1"}', b"definition"], "body 'device' is missing"),
        ([b"ACK", b'{"job": "1", "offset": 0, "x": "' + b"x" * LARGEST_HEADER + b'"}'], "too large"),
        ([b"LOG", b'{"job": "1", "offset": 0}', bytes(LARGEST_BODY + 1)], "too large"),
    ],
)
def test_g12_garbage_is_refused_by_name(frames: list[bytes], why: str) -> None:
    with pytest.raises(WireError, match=why):
        decode(frames)


def test_a_body_may_be_as_large_as_promised() -> None:
    log = Log("1", 0, bytes(LARGEST_BODY))
    assert decode(encode(log)) == log


def test_nul_is_dropped_from_text() -> None:
    frames = [b"END", json.dumps({"job": "1", "log_length": 0, "error": "a\0b"}).encode()]
    assert decode(frames) == End("1", 0, error="ab")


def test_text_that_utf8_cannot_hold_is_made_storable() -> None:
    """A lone surrogate passes JSON, but neither a file nor a database takes it."""
    frames = [b"END", b'{"job": "1", "log_length": 0, "error": "a\\ud800b"}']
    received = decode(frames)
    assert isinstance(received, End)
    assert received.error.encode()


@pytest.mark.parametrize("name", ["worker", "w", "rack-1.example.org", "a_b", "7", "X" * 200])
def test_names_of_workers(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-x", ".x", "a b", "a/b", "../x", "ä", "a\n", "a\0", "x" * 201, "lava-logs", "master"]
)
def test_g15_reserved_and_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(WireError, match=r"is no name of a worker|is reserved"):
        check_name(name)


def test_a_multinode_id_travels() -> None:
    assert decode(encode(StartOk("123.1"))) == StartOk("123.1")
    assert decode(encode(Ack("123.1", 5))) == Ack("123.1", 5)


def test_bodies_that_may_be_left_out_are_empty() -> None:
    start = decode([b"START", b'{"job": "1"}', b"definition", b"device"])
    assert start == Start("1", b"definition", b"device")


def test_g17_the_greeting_says_which_protocol_is_spoken() -> None:
    assert "protocol" in {entry.name for entry in fields(Hello)}
    assert "protocol" in {entry.name for entry in fields(HelloOk)}


@pytest.mark.parametrize("name", ["worker-1", "a.b_c-d", "x" * 200])
def test_a_route_holds_name_and_epoch(name: str) -> None:
    assert split_route(join_route(name, "12-ab")) == (name, "12-ab")


@pytest.mark.parametrize(
    "route", [b"", b"worker", b"worker/", b"/1", b"a b/1", b"master/1", b"w/../1", b"\xff/1", b"w/" + b"1" * 41]
)
def test_g15_what_is_no_route_of_a_slave(route: bytes) -> None:
    with pytest.raises(WireError):
        split_route(route)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Hello, {"protocol", "version", "instance"}),
        (Ping, set()),
        (StartOk, {"job"}),
        (End, {"job", "log_length", "exit_status", "error", "description"}),
        (Log, {"job", "offset", "lines"}),
    ],
)
def test_r35_nothing_that_a_slave_says_names_a_device(kind: type[Message], told: set[str]) -> None:
    """R35: these are all messages of slaves; of a job they say its number, its log, and what it left."""
    assert {entry.name for entry in fields(kind)} == told
