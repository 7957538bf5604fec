"""The files beside definition and device: dispatcher specification 1.3."""

from __future__ import annotations

from pathlib import Path

import pytest

from lava.dispatcher import configuration
from lava.dispatcher.configuration import (
    DEFAULT_SCRATCH,
    DispatcherConfiguration,
    Environment,
    load_dispatcher_configuration,
    load_environment,
)
from lava.model.errors import ConfigurationError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    return path


def test_an_environment_takes_away_then_sets() -> None:
    environment = Environment(removes=("HOME", "NEVER"), overrides={"LANG": "C", "NEW": "1"})
    assert environment.apply({"HOME": "/root", "LANG": "de", "TERM": "vt"}) == {"LANG": "C", "NEW": "1", "TERM": "vt"}
    assert Environment(purge=True, overrides={"A": "b"}).apply({"HOME": "/root"}) == {"A": "b"}


def test_an_environment_is_read_as_text(tmp_path: Path) -> None:
    path = written(tmp_path, "purge: true\nremoves: [A, 1]\noverrides: {PORT: 8080, FLAG: true}\n")
    assert load_environment(path) == Environment(True, ("A", "1"), {"PORT": "8080", "FLAG": "True"})


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n"])
def test_an_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    assert load_environment(written(tmp_path, text)) == Environment()
    assert load_dispatcher_configuration(written(tmp_path, text)).scratch_root == DEFAULT_SCRATCH


def test_no_file_sets_nothing() -> None:
    assert load_environment(None) == Environment()
    assert load_dispatcher_configuration(None).prefix == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- A\n", "must be a mapping with purge, removes and overrides, not a list"),
        ("overrides: [A]\n", "must be a mapping"),
        ("a: [\n", "file.yaml"),
    ],
)
def test_a_wrong_environment_names_its_file(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"file\.yaml") as raised:
        load_environment(written(tmp_path, text))
    assert complaint in str(raised.value)


@pytest.mark.parametrize("text", ["- a\n", "just text\n"])
def test_a_dispatcher_configuration_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"file\.yaml: must be a mapping of settings, not"):
        load_dispatcher_configuration(written(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        load_dispatcher_configuration(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"binary\.yaml"):
        load_environment(tmp_path / "binary.yaml")


def test_the_worker_is_reached_by_protocol_then_in_general() -> None:
    settings = DispatcherConfiguration({"dispatcher_ip": "10.0.0.1", "dispatcher_http_ip": "10.0.0.2:8080"})
    assert settings.address("http") == "10.0.0.2:8080"
    assert settings.address("tftp") == settings.address() == "10.0.0.1"


def test_without_a_setting_the_default_route_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "_address_of_default_route", lambda: "192.0.2.1")
    assert DispatcherConfiguration().address() == "192.0.2.1"
