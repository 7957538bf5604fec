"""Shell-style files: read as a shell would, nothing executed, faults with a remedy.  Source: seed requirement R22."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.daemon.settings_file import Assignment, SettingsError, read_settings_file

ACCEPTED = [
    ('NAME="value"', "value"),
    ("NAME='value'", "value"),
    ("NAME=value", "value"),
    ("  NAME=value  ", "value"),
    ('export NAME="value"', "value"),
    ('NAME="two words"', "two words"),
    ('NAME=""', ""),
    ("NAME=", ""),
    ('NAME="value" # why', "value"),
    ("NAME=value # why", "value"),
    ('NAME="a # b"', "a # b"),
    (r'NAME="a \"quoted\" word"', 'a "quoted" word'),
    (r'NAME="a \$ and a \\"', "a $ and a \\"),
    (r'NAME="a \n stays"', r"a \n stays"),
    ("NAME='$no `expansion` \\ at all'", "$no `expansion` \\ at all"),
    ("NAME=tcp://*:5556", "tcp://*:5556"),
    ("NAME=tcp://[::1]:5556", "tcp://[::1]:5556"),
    ('NAME="--master-cert /etc/certificates.d/master.key"', "--master-cert /etc/certificates.d/master.key"),
    ('NAME="first"\nNAME="last"', "last"),
    ('\n# NAME="no"\n\n  # a comment\nNAME="yes"\n#', "yes"),
]


def read(directory: Path, text: str) -> dict[str, str]:
    path = directory / "settings"
    path.write_text(text)
    return {name: assignment.value for name, assignment in read_settings_file(path).items()}


@pytest.mark.parametrize(("text", "value"), ACCEPTED)
def test_r22_assignments_are_read(tmp_path: Path, text: str, value: str) -> None:
    """R22: comments, quotes, blank lines."""
    assert read(tmp_path, text) == {"NAME": value}


@pytest.mark.parametrize(("text", "value"), ACCEPTED)
def test_r22_a_shell_reads_the_same(tmp_path: Path, text: str, value: str) -> None:
    """R22: the files were sourced by an init script."""
    path = tmp_path / "settings"
    path.write_text(text)
    sourced = subprocess.run(
        ["sh", "-c", '. "$0"; printf %s "$NAME"', str(path)], capture_output=True, text=True, check=True
    )
    assert sourced.stdout == value


@pytest.mark.parametrize("text", ["", "\n\n", "# NAME=1", "   # NAME=1\n"])
def test_r22_what_is_commented_out_is_not_set(tmp_path: Path, text: str) -> None:
    """R22: unset names."""
    assert read(tmp_path, text) == {}


def test_each_assignment_knows_its_line(tmp_path: Path) -> None:
    """R22: what uses a value can say where it stands."""
    path = tmp_path / "settings"
    path.write_text("# one\nA=1\n\nB='2'\n")
    assert read_settings_file(path) == {"A": Assignment("1", 2), "B": Assignment("2", 4)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("NAME", "'NAME' is no assignment: write NAME=\"value\", without blanks around '='"),
        ('NAME = "value"', "is no assignment: write NAME=\"value\", without blanks around '='"),
        ("[section]", "'[section]' is no assignment"),
        ("master-url=x", "'master-url=x' is no assignment"),
        ("if true; then", "is no assignment"),
        ('NAME="open', 'the quote " is not closed'),
        ("NAME='open", "the quote ' is not closed"),
        ("NAME=two words", 'the value of NAME must be one word or quoted: write NAME="value"'),
        ('NAME="a""b"', 'write NAME="value"'),
        ("NAME=a;reboot", 'write NAME="value"'),
        ('NAME="$OTHER"', "variables and commands are not expanded here: write the value itself"),
        ("NAME=$(hostname)", "variables and commands are not expanded here"),
        ("NAME=`hostname`", "variables and commands are not expanded here"),
    ],
)
def test_r22_a_line_that_is_no_assignment_is_named_with_a_remedy(tmp_path: Path, line: str, message: str) -> None:
    """R22: the fault names file, line and what to write."""
    with pytest.raises(SettingsError) as error:
        read(tmp_path, f"# first\n{line}\n")
    assert str(error.value).startswith(f"{tmp_path}/settings:2: ")
    assert message in str(error.value)


def test_all_faults_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    """R22: nobody starts a daemon three times for three mistakes."""
    with pytest.raises(SettingsError) as error:
        read(tmp_path, 'wrong\nA="1"\nB="\nC = 3\n')
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["1", "3", "4"]


def test_a_missing_file_is_told_from_an_unreadable_one(tmp_path: Path) -> None:
    """R22: only the first may be fine."""
    with pytest.raises(FileNotFoundError):
        read_settings_file(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"cannot be read: Is a directory"):
        read_settings_file(tmp_path)
    (tmp_path / "binary").write_bytes(b'A="\xff"\n')
    with pytest.raises(SettingsError, match=r"binary: is no text in UTF-8"):
        read_settings_file(tmp_path / "binary")


@given(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=60))
def test_any_quoted_value_comes_back(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """R22: whatever stands in a value, properly quoted, is the value."""
    quoted = "".join(f"\\{each}" if each in '"\\$`' else each for each in value)
    directory = tmp_path_factory.getbasetemp()
    assert read(directory, f'NAME="{quoted}"\n') == {"NAME": value}


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """R22: no file breaks the parser."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(text.encode(errors="replace"))
    with contextlib.suppress(SettingsError):
        assert all(name.isidentifier() for name in read_settings_file(path))
