"""From a configuration file and a command line to one set of options.  Source: seed requirements D, K, G36."""

from __future__ import annotations

import argparse
import difflib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from .settings_file import Assignment, SettingsError, read_settings_file


@dataclass(frozen=True, slots=True)
class Setting:
    """A name in the configuration file, and the option that it sets."""

    name: str
    option: str
    #: the option stands alone: ``ENCRYPT="--encrypt"``
    flag: bool = False


class DaemonParser(argparse.ArgumentParser):
    """The options of a daemon, on its command line and in its file."""

    #: where the words that are parsed at the moment were written
    _place: str | None = None

    def check(self, words: Sequence[str], place: str) -> None:
        """Parse words of a file for their faults.

        Raises:
            SettingsError: they are wrong.
        """
        self._place = place
        try:
            self.parse_args(words)
        finally:
            self._place = None

    def error(self, message: str) -> NoReturn:
        """Say what is wrong: with the file that is read, or else with the command line, and exit with status 2."""
        if self._place is not None:
            raise SettingsError(f"{self._place}: {message}")
        super().error(message)


@dataclass(frozen=True, slots=True)
class Options:
    """What a daemon was told."""

    args: argparse.Namespace
    #: all of it as a command line: what the file says, then what was typed
    words: tuple[str, ...]


def read_options(
    parser: DaemonParser, settings: Sequence[Setting], argv: Sequence[str], *, default_file: Path
) -> Options:
    """Read command line and configuration file; what was typed wins.  A wrong command line ends the program.

    Args:
        default_file: read if it is there, unless ``--config`` names another file, which then has to be there.

    Raises:
        SettingsError: the file is wrong.
    """
    named: Path | None = parser.parse_args(argv).config
    words = _words(named or default_file, settings, parser, required=named is not None)
    everything = (*words, *argv)
    return Options(parser.parse_args(everything), everything)


def _words(path: Path, settings: Sequence[Setting], parser: DaemonParser, *, required: bool) -> list[str]:
    """Return what a file says as words of a command line, in the order of the settings."""
    try:
        assignments = read_settings_file(path)
    except FileNotFoundError as error:
        if not required:
            return []
        raise SettingsError(f"{path}: there is no such file; name another one with --config") from error
    by_name = {setting.name: setting for setting in settings}
    words: dict[str, list[str]] = {}
    faults = []
    for name, assignment in assignments.items():
        place = f"{path}:{assignment.line}"
        if name not in by_name:
            faults.append(f"{place}: there is no setting '{name}': {_remedy(name, list(by_name))}")
            continue
        try:
            words[name] = _option(by_name[name], assignment, place)
            parser.check(words[name], place)
        except SettingsError as error:
            faults.append(str(error))
    if words.get("ENCRYPT") and words.get("PLAIN"):
        place = f"{path}:{assignments['PLAIN'].line}"
        faults.append(f"{place}: PLAIN contradicts ENCRYPT in line {assignments['ENCRYPT'].line}: take one away")
    if faults:
        raise SettingsError("\n".join(faults))
    return [word for setting in settings for word in words.get(setting.name, [])]


def _remedy(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.upper(), names, n=1)
    return f"did you mean {close[0]}?" if close else f"take it away; there are {', '.join(names)}"


def _option(setting: Setting, assignment: Assignment, place: str) -> list[str]:
    """Return the words of an assignment: ``LOGLEVEL="DEBUG"`` and ``LOGLEVEL="--level DEBUG"`` are the same."""
    value = assignment.value.strip()
    if not value:
        return []
    if setting.flag:
        if value != setting.option:
            raise SettingsError(f'{place}: write {setting.name}="{setting.option}", or take the line away')
        return [setting.option]
    if not value.startswith("--"):
        return [setting.option, value]
    try:
        option, *rest = shlex.split(value.replace("=", " ", 1) if value.startswith(f"{setting.option}=") else value)
    except ValueError as error:
        raise SettingsError(f"{place}: a quote in the value of {setting.name} is not closed") from error
    if option != setting.option:
        raise SettingsError(f"{place}: {setting.name} sets {setting.option}, not {option}")
    if len(rest) != 1:
        raise SettingsError(
            f"{place}: {setting.option} needs one value: "
            f"write {setting.name}=\"{setting.option} VALUE\", with '…' around a value that has blanks"
        )
    return [setting.option, *rest]
