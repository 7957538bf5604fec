"""The test definition: what is read from it, and what is wrong with one.  Job definition 12."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from lava.model.faults import SubmissionError
from lava.model.test_definition import GitRepository, definition_faults, parse_test_definition

WHOLE: dict[str, Any] = {
    "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "disk", "os": ["debian"]},
    "params": {"SIZE": "64", "BOTH": "params"},
    "parameters": {"OTHER": 1, "BOTH": "parameters"},
    "install": {
        "keys": ["k"],
        "sources": ["s"],
        "deps": ["util-linux", None, 7],
        "deps-debian": ["d"],
        "git-repos": ["http://x/a.git", {"url": "http://x/b.git", "branch": "dev", "destination": "b"}],
        "steps": ["make"],
    },
    "run": {"steps": ["lava-test-case a --result pass", None, True]},
    "parse": {"pattern": "(?P<test_case_id>.*)", "fixupdict": {"PASS": "pass"}},
    "expected": ["a"],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(WHOLE)
    *parents, last = path.split("/")
    inner = document
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return document


def faults(document: object, *, strict: bool = False) -> list[str]:
    return [str(fault) for fault in definition_faults(document, strict=strict)]


def test_a_whole_definition() -> None:
    assert faults(WHOLE, strict=True) == []
    definition = parse_test_definition(WHOLE, where="a.yaml")
    assert definition.name == "disk"
    assert definition.parameters == {"SIZE": "64", "OTHER": 1, "BOTH": "params"}
    assert definition.steps == ("lava-test-case a --result pass", "True")
    assert (definition.parse_pattern, definition.fixups) == ("(?P<test_case_id>.*)", {"PASS": "pass"})
    assert definition.expected == ("a",)
    install = definition.install
    assert install is not None
    assert (install.keys, install.sources, install.steps) == (("k",), ("s",), ("make",))
    assert (install.deps, install.deps_by_distro) == (("util-linux", "7"), {"debian": ("d",)})
    assert install.git_repos == (GitRepository("http://x/a.git"), GitRepository("http://x/b.git", "dev", "b"))


@pytest.mark.parametrize("key", ["params", "parameters", "install", "run", "parse", "expected"])
@pytest.mark.parametrize("empty", [None, "absent"])
def test_all_but_the_metadata_may_be_left_out_or_empty(key: str, empty: str | None) -> None:
    document = changed(key, empty)
    if empty:
        del document[key]
    assert faults(document, strict=True) == []
    definition = parse_test_definition(document, where="a.yaml")
    assert definition.name == "disk"


@pytest.mark.parametrize("steps", [[], None])
def test_there_may_be_nothing_to_run(steps: Any) -> None:
    assert parse_test_definition(changed("run/steps", steps), where="a.yaml").steps == ()


def test_the_historic_format_is_tolerated() -> None:
    assert faults(changed("metadata/format", "Lava-Test-Shell Test Definition 1.0")) == []


FAULTS = [
    ("metadata", None, "metadata: required, with format and name; metadata: {format: Lava-Test Test Definition 1.0,"),
    ("metadata", ["a"], "metadata: required, with format and name"),
    ("metadata/format", None, "metadata.format: required; write 'format: Lava-Test Test Definition 1.0'"),
    ("metadata/format", "Lava 2", "metadata.format: 'Lava 2' is no known format; write 'format: Lava-Test Test"),
    ("metadata/format", ["a"], "metadata.format: '['a']' is no known format"),
    ("metadata/name", None, "metadata.name: required"),
    ("metadata/name", ["a"], "metadata.name: required"),
    ("params", ["A=1"], "params: must be a mapping of variables"),
    ("parameters", "A=1", "parameters: must be a mapping of variables"),
    ("install", ["a"], "install: must be a mapping"),
    ("install/deps", "gcc", "install.deps: must be a list; start each entry with '- '"),
    ("install/deps-debian", {"a": 1}, "install.deps-debian: must be a list"),
    ("install/steps", [{"echo a": "b"}], "install.steps[0]: must be text; a colon followed by a blank makes a mapping"),
    ("install/git-repos", "http://x", "install.git-repos: must be a list"),
    ("install/git-repos", [5], "install.git-repos[0]: must be an address, or a mapping with url"),
    ("install/git-repos", [{"branch": "a"}], "install.git-repos[0]: must be an address, or a mapping with url"),
    ("run", ["a"], "run.steps: required; a list of shell lines"),
    ("run", {}, "run.steps: required"),
    ("run/steps", "make", "run.steps: must be a list"),
    ("run/steps", ["a", {"echo b": "c"}], "run.steps[1]: must be text; a colon followed by a blank"),
    ("run/steps", [["a"]], "run.steps[0]: must be text"),
    ("parse", "a", "parse: must be a mapping with pattern and fixupdict"),
    ("parse/pattern", 5, "parse.pattern: must be text"),
    ("parse/fixupdict", ["a"], "parse.fixupdict: must be a mapping"),
    ("parse/fixupdict", {"OK": "ok"}, "parse.fixupdict.OK: 'ok' is no result; one of: pass, fail, skip, unknown"),
    ("expected", "a", "expected: must be a list"),
    ("expected", [["a"]], "expected[0]: must be text"),
]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("path", "value", "fault"), FAULTS)
def test_faults(path: str, value: Any, fault: str, strict: bool) -> None:
    (found,) = faults(changed(path, value), strict=strict)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("steps", "steps: unknown key; "),
        ("parameter", "parameter: unknown key; did you mean 'parameters'?"),
        ("install/dep", "install.dep: unknown key; did you mean 'deps'?"),
    ],
)
def test_an_unknown_key_is_a_fault_for_the_strict_reading_only(path: str, fault: str) -> None:
    document = changed(path, ["a"])
    assert faults(document) == []
    (found,) = faults(document, strict=True)
    assert found.startswith(fault)


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_what_is_no_mapping(document: object) -> None:
    assert faults(document) == ["a test definition is a mapping; with metadata and run"]


def test_a_refusal_names_the_file_and_everything_that_is_wrong() -> None:
    with pytest.raises(SubmissionError) as refused:
        parse_test_definition(changed("run/steps", "a") | {"metadata": {}}, where="tests/a.yaml")
    assert [fault.path for fault in refused.value.faults] == [
        ("tests/a.yaml", "metadata", "format"),
        ("tests/a.yaml", "metadata", "name"),
        ("tests/a.yaml", "run", "steps"),
    ]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


@pytest.mark.parametrize("odd", [None, True, 5, 1.5, "", "x", [], [None], [[]], {}, {1: {}}, {None: []}], ids=repr)
def test_whatever_stands_where_it_must_not_is_read_or_a_fault(odd: Any) -> None:
    for path in places(WHOLE):
        document: Any = copy.deepcopy(WHOLE)
        inner = document
        for part in path[:-1]:
            inner = inner[part]
        if path:
            inner[path[-1]] = odd
        else:
            document = odd
        try:
            assert parse_test_definition(document, where="a.yaml").metadata
        except SubmissionError as error:
            assert error.faults  # noqa: PT017
