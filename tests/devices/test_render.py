"""Device dictionaries are rendered by Jinja2's own rules, and what is wrong names its place.  Device conf. 2, 3, 17."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.devices import SHIPPED, TemplateFault, Templates
from lava.devices.templates import qemu_guest_fs_interface, yaml_quote


class Lab:
    """Directories of dictionaries and templates."""

    def __init__(self, root: Path) -> None:
        self.devices, self.own, self.shipped = root / "devices", root / "own", root / "shipped"
        for directory in (self.devices, self.own, self.shipped):
            directory.mkdir()
        self.templates = Templates(self.devices, [self.own, self.shipped])

    def render(self, name: str = "board.jinja2", **context: Any) -> str:
        return self.templates.render(name, hostname="board", device_type="type", context=context)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    (lab.shipped / "type.jinja2").write_text("{% extends 'base.jinja2' %}\n{% set x = x|default('template') %}\n")
    (lab.shipped / "base.jinja2").write_text("x: {{ x|default('base') }}\n{% block body %}{% endblock %}\n")
    return lab


class TestPrecedence:
    @pytest.mark.parametrize(
        ("line", "context", "value"),
        [
            ("", {}, "template"),
            ("", {"x": "job"}, "job"),
            ("{% set x = x|default('admin') %}", {}, "admin"),
            ("{% set x = x|default('admin') %}", {"x": "job"}, "job"),
            ("{% set x = 'admin' %}", {}, "admin"),
            ("{% set x = 'admin' %}", {"x": "job"}, "admin"),  # how an admin protects a variable
            ("", {"x": ""}, None),  # a default replaces only what is undefined
            ("", {"x": 0}, 0),
            ("", {"x": False}, False),
            ("{% set x = '' %}", {"x": "job"}, None),
            ("{% block body %}{% set x = 'inner' %}{% endblock %}", {}, "template"),  # seen in its block only
        ],
    )
    @pytest.mark.parametrize("order", ["{extends}\n{line}\n", "{line}\n{extends}\n"])
    def test_who_sets_a_variable(self, lab: Lab, line: str, context: dict[str, Any], value: Any, order: str) -> None:
        text = order.format(extends="{% extends 'type.jinja2' %}", line=line)
        (lab.devices / "board.jinja2").write_text(text)
        assert yaml.safe_load(lab.render(**context)) == {"x": value}

    def test_text_outside_of_blocks_is_dropped(self, lab: Lab) -> None:
        (lab.devices / "board.jinja2").write_text("{% extends 'type.jinja2' %}\ny: 5\n")
        assert lab.render() == "x: template\n"

    def test_a_job_cannot_change_who_the_device_is(self, lab: Lab) -> None:
        (lab.devices / "board.jinja2").write_text("{{ scheduled_device_name }} {{ scheduled_device_type }}")
        assert lab.render(scheduled_device_name="x", scheduled_device_type="y") == "board type"


class TestLookup:
    def test_a_dictionary_extends_a_dictionary(self, lab: Lab) -> None:
        (lab.devices / "rack.jinja2").write_text("{% extends 'type.jinja2' %}{% set x = 'rack' %}")
        (lab.devices / "board.jinja2").write_text("{% extends 'rack.jinja2' %}")
        assert lab.render() == "x: rack\n"

    def test_a_dictionary_shadows_a_template(self, lab: Lab) -> None:
        (lab.devices / "base.jinja2").write_text("mine: {{ x }}")
        (lab.devices / "board.jinja2").write_text("{% extends 'type.jinja2' %}")
        assert lab.render() == "mine: template"

    def test_an_admins_template_shadows_the_one_that_is_shipped_for_every_type(self, lab: Lab) -> None:
        (lab.own / "base.jinja2").write_text("own: {{ x }}")
        assert lab.render("type.jinja2") == "own: template"
        (lab.own / "base.jinja2").unlink()
        assert lab.render("type.jinja2") == "x: template\n"

    def test_a_template_that_includes_another_renders_like_it(self, lab: Lab) -> None:
        (lab.shipped / "other.jinja2").write_text("{% include 'type.jinja2' %}")
        assert lab.render("other.jinja2") == lab.render("type.jinja2")

    def test_a_changed_file_is_noticed(self, lab: Lab) -> None:
        path = lab.devices / "board.jinja2"
        path.write_text("one")
        assert lab.render() == "one"
        path.write_text("three")
        os.utime(path, (1, 1))
        assert lab.render() == "three"

    def test_names_and_sources(self, lab: Lab) -> None:
        (lab.devices / "board.jinja2").write_text("é")
        (lab.devices / "notes.txt").write_text("")
        assert lab.templates.names() == ["base.jinja2", "board.jinja2", "type.jinja2"]
        assert lab.templates.source("board.jinja2") == "é"
        assert lab.templates.source("missing.jinja2") is None

    @pytest.mark.parametrize("name", ["../secret.jinja2", "/etc/passwd", "a/../../secret.jinja2"])
    def test_nothing_outside_of_the_directories_is_shown(self, lab: Lab, tmp_path: Path, name: str) -> None:
        (tmp_path / "secret.jinja2").write_text("secret")
        assert lab.templates.source(name) is None
        with pytest.raises(TemplateFault):
            lab.render(name)

    @pytest.mark.parametrize(
        ("text", "extended"),
        [
            ("{% extends 'qemu.jinja2' %}", "qemu"),
            ("{# a comment #}\n{% set x = 1 %}\n{% extends 'a-b.jinja2' %}{{ broken() }}", "a-b"),
            ("{% extends 'plain' %}", "plain"),
            ("{% extends name %}", None),
            ("{% if x %}{% extends 'a.jinja2' %}{% else %}{% extends 'b.jinja2' %}{% endif %}", None),
            ("nothing", None),
            ("{% extends %}", None),
        ],
    )
    def test_what_a_dictionary_extends_is_read_off_its_text(self, lab: Lab, text: str, extended: str | None) -> None:
        (lab.devices / "board.jinja2").write_text(text)
        assert lab.templates.extended("board.jinja2") == extended
        assert lab.templates.extended("missing.jinja2") is None


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("{% extends 'nothing.jinja2' %}", ["board.jinja2: 'nothing.jinja2' is in none of ", "/devices, "]),
            ("a\n{% set x = %}\n", ["devices/board.jinja2:2: Expected an expression"]),
            ("a\n\n{{ x\n", ["board.jinja2:", "unexpected"]),
            ("{% if x %}", ["board.jinja2:1: ", "endif"]),
            ("a\n{{ x|no_such_filter }}", ["board.jinja2:2: No filter named 'no_such_filter'"]),
            ("a\n{{ missing + 1 }}\n", ["devices/board.jinja2:2: 'missing' is undefined"]),
            ("{{ missing.attribute }}", ["board.jinja2:1: 'missing' is undefined"]),
            ("a\n\n{{ 1 / 0 }}", ["board.jinja2:3: ZeroDivisionError: division by zero"]),
            ("{{ 'a' + 1 }}", ["board.jinja2:1: TypeError"]),
            ("{{ [1][5] + 1 }}", ["board.jinja2:1: list object has no element 5"]),
            ("{{ ''.__class__.__mro__ }}", ["board.jinja2:1: access to attribute '__class__'"]),
            ("{{ range(10**9) }}", ["OverflowError: "]),
            ("{% include 'board.jinja2' %}", ["board.jinja2:1: it extends or includes itself"]),
            ("{% extends 'board.jinja2' %}", ["board.jinja2:1: it extends or includes itself"]),
            ("{{ x|yaml_quote }}", ["board.jinja2:1: 'x' is undefined: give it a default"]),
            ("{{ range|yaml_quote }}", ["board.jinja2:1: TypeError: ", "is nothing that YAML can hold"]),
        ],
    )
    def test_a_fault_names_file_and_line(self, lab: Lab, text: str, parts: list[str]) -> None:
        (lab.devices / "board.jinja2").write_text(text)
        with pytest.raises(TemplateFault) as refused:
            lab.render()
        for part in parts:
            assert part in str(refused.value)

    def test_a_fault_in_a_parent_names_the_parent(self, lab: Lab) -> None:
        (lab.shipped / "base.jinja2").write_text("a: 1\n{{ missing + 1 }}\n")
        (lab.devices / "board.jinja2").write_text("{% extends 'type.jinja2' %}")
        with pytest.raises(TemplateFault, match=r"/shipped/base\.jinja2:2: 'missing' is undefined$"):
            lab.render()

    def test_a_missing_dictionary(self, lab: Lab) -> None:
        with pytest.raises(TemplateFault, match=r"'board\.jinja2' is in none of "):
            lab.render()

    def test_a_dictionary_that_is_no_text(self, lab: Lab) -> None:
        (lab.devices / "board.jinja2").write_bytes(b"a: \xff\xfe\n")
        with pytest.raises(TemplateFault, match="board"):
            lab.render()
        assert lab.templates.source("board.jinja2") is None
        assert lab.templates.extended("board.jinja2") is None

    def test_a_dictionary_that_is_a_directory(self, lab: Lab) -> None:
        (lab.devices / "board.jinja2").mkdir()
        with pytest.raises(TemplateFault, match="board"):
            lab.render()
        assert lab.templates.source("board.jinja2") is None


class TestEnvironment:
    @pytest.mark.parametrize(
        ("text", "rendered"),
        [
            ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc"),  # the line end after a tag goes
            ("a:\n  {% if true %}\n  b\n  {% endif %}\n", "a:\n    b\n  "),  # the blanks before it stay
            ("{{ x }}\nb\n", "\nb"),  # nothing goes after an expression, and what is unset prints nothing
            ("{{ '<&>' }}", "<&>"),
            ("{{ ['a', \"it's\"] }} {{ {'a': true} }}", "['a', \"it's\"] {'a': True}"),
            ("{{ 'a b'|shlex_quote }} {{ 'it\\'s'|shlex_quote }}", "'a b' 'it'\"'\"'s'"),
        ],
    )
    def test_how_text_is_rendered(self, lab: Lab, text: str, rendered: str) -> None:
        (lab.devices / "board.jinja2").write_text(text)
        assert lab.render() == rendered

    @pytest.mark.parametrize(
        ("arch", "chosen", "interface"),
        [("amd64", "", "ide"), ("x86_64", "", "ide"), ("i386", "", "ide"), ("arm64", "", "virtio"), ("i386", "s", "s")],
    )
    def test_the_interface_of_a_guest(self, arch: str, chosen: str, interface: str) -> None:
        assert qemu_guest_fs_interface(arch, chosen) == interface


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=10
)


@settings(deadline=None)
@given(VALUES)
def test_a_quoted_value_is_one_line_that_reads_back(value: Any) -> None:
    text = yaml_quote(value)
    assert "\n" not in text
    assert not text.startswith("---")
    assert yaml.safe_load(text) == value
    assert yaml.safe_load(f"{{a: [{text}]}}") == {"a": [value]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("yes", '"yes"'),
        ("0239", '"0239"'),
        (239, "239"),
        ("a\nb", '"a\\nb"'),
        ("a: #b", '"a: #b"'),
        ("x" * 300 + " y", '"' + "x" * 300 + ' y"'),
        ([1, "1", None, True], '[1, "1", null, true]'),
        ({"b": 1, "a": []}, '{"a": [], "b": 1}'),
    ],
)
def test_how_values_are_quoted(value: Any, text: str) -> None:
    assert yaml_quote(value) == text


def test_the_shipped_templates_are_found() -> None:
    assert Templates(None, [SHIPPED]).names() == sorted(path.name for path in SHIPPED.glob("*.jinja2"))
