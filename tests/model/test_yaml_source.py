"""YAML text knows where its values stand, whatever anchors and merges do; what is no YAML has a place.  Job def. 1."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.model.faults import Fault, Path, SubmissionError, did_you_mean, format_path
from lava.model.yaml_source import Source

TEXT = """\
# a comment
defaults: &defaults
  timeout: {minutes: 5}
  os: debian
more: &more {method: qemu}
actions:
- deploy:
    <<: *defaults
    to: tmpfs
- boot:
    <<: [*defaults, *more]
    timeout: {minutes: 1}
- *more
- {a: [x, "y"], 5: z}
twice: 1
twice: 2
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (2, 1)),
        (("actions",), (6, 1)),
        (("actions", 0), (7, 3)),
        (("actions", 0, "deploy"), (7, 3)),
        (("actions", 0, "deploy", "to"), (9, 5)),
        (("actions", 0, "deploy", "os"), (4, 3)),  # merged: where it is written
        (("actions", 0, "deploy", "timeout", "minutes"), (3, 13)),
        (("actions", 1, "boot", "timeout"), (12, 5)),  # its own wins over the merged one
        (("actions", 1, "boot", "method"), (5, 14)),  # the second of two that are merged
        (("actions", 2, "method"), (5, 14)),
        (("actions", 3, "a", 1), (14, 11)),
        (("actions", 3, "5"), (14, 17)),
        (("twice",), (16, 1)),  # the last one counts
        (("actions", 0, "deploy", "missing"), (7, 3)),  # the nearest above
        (("actions", 9), (6, 1)),
        (("missing", "at", "all"), (2, 1)),
        (("twice", "deeper"), (16, 1)),
    ],
)
def test_positions(path: Path, place: tuple[int, int]) -> None:
    assert Source(TEXT).position(path) == place


def test_values_are_what_a_safe_loader_makes_of_them() -> None:
    source = Source(TEXT, "job.yaml")
    assert source.value == yaml.safe_load(TEXT)
    assert source.text == TEXT
    assert source.file == "job.yaml"


def test_windows_line_ends_count_as_one_line() -> None:
    assert Source(TEXT.replace("\n", "\r\n")).position(("actions", 0, "deploy", "to")) == (9, 5)


KEYS = st.text("abcxyz", min_size=1, max_size=3)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers() | st.text(st.characters(codec="ascii"), max_size=5) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


def paths(value: Any, path: Path = ()) -> list[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in inner for deeper in paths(item, (*path, key)))]


@settings(deadline=None)
@given(VALUES, st.booleans())
def test_every_value_has_a_place_where_its_key_stands(value: Any, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    source = Source(text)
    lines = text.split("\n")
    for path in paths(value):
        line, column = source.position(path)
        assert 1 <= line <= len(lines)
        if path and isinstance(path[-1], str):
            assert lines[line - 1][column - 1 :].lstrip("'\"? ").startswith(path[-1])


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ("a: [b\nc: d\n", 2, 2, "quotes"),
        ("a: b: c\n", 1, 5, "quotes"),
        ("a:\n\t- b\n", 2, 1, "never with tabs"),
        ("a: 'b\n", 2, 1, "quotes"),
        ("a: *missing\n", 1, 4, "quotes"),
        ("a: !!python/object:os.system {}\n", 1, 4, "quotes"),
        ("a: b\n---\nc: d\n", 2, 1, "quotes"),
        ("{a: 1}: 2\n[b]: 1\n", 1, 1, "quotes"),
        ("a: &a [*a]\nb: *b\n", 2, 4, "quotes"),
        ("a:\n  " + "[" * 200, 2, 102, "quotes"),
        ("a: '\x00'\n", 0, 0, "quotes"),
        ("a: \x07\n", 0, 0, "quotes"),
    ],
)
def test_what_is_no_yaml(text: str, line: int, column: int, hint: str) -> None:
    with pytest.raises(SubmissionError) as refused:
        Source(text)
    (fault,) = refused.value.faults
    assert fault.message.startswith("not YAML: ")
    assert (fault.line, fault.column) == (line, column)
    assert hint in fault.hint


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: 2024-99-99\n", "a: !!int x\n"])
def test_what_no_loader_can_take_is_refused(text: str) -> None:
    with pytest.raises(SubmissionError, match="not YAML"):
        Source(text)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "--- \n", "null\n"])
def test_nothing_is_nothing(text: str) -> None:
    source = Source(text)
    assert source.value is None
    assert source.position(("a",)) in [(0, 0), (1, 1), (2, 1), (1, 4), (1, 5)]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a: &a {b: {c: *a}}\n",
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200)),
    ],
)
def test_aliases_that_stand_for_more_than_a_program_can_walk_through_are_refused(text: str) -> None:
    with pytest.raises(SubmissionError, match="not YAML: its aliases stand for too much"):
        Source(text)


def test_many_aliases_of_a_reasonable_size_are_fine() -> None:
    text = "a: &a {b: [1, 2]}\nc: [" + ", ".join(["*a"] * 1000) + "]\nd: '*'\n"
    assert Source(text).position(("c", 999)) == (1, 4)  # where it is written


def test_faults_are_placed_in_the_order_of_the_text() -> None:
    faults = [Fault(("twice",), "b"), Fault(("actions", 0, "deploy", "to"), "a", "hint"), Fault((), "c", line=99)]
    placed = Source(TEXT).placed(faults)
    assert [str(fault) for fault in placed] == [
        "actions[0].deploy.to: a (line 9, column 5); hint",
        "twice: b (line 16, column 1)",
        "c (line 99, column 0)",
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("a", "b"), "a.b"), (("a", 0, "b", 1, 2), "a[0].b[1][2]"), ((0, "a"), "[0].a")],
)
def test_paths_are_written_as_people_do(path: Path, text: str) -> None:
    assert format_path(path) == text


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("promts", ["prompts", "method"], "did you mean 'prompts'?"),
        ("zzz", ["b", "a"], "one of: a, b"),
        ("zzz", [f"key{number}" for number in range(13)], ""),
        ("zzz", [], ""),
        (5, ["a"], "one of: a"),
        (None, ["none"], "did you mean 'none'?"),
    ],
)
def test_hints(word: object, known: list[str], hint: str) -> None:
    assert did_you_mean(word, known) == hint
