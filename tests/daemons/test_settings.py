"""Each setting has its effect, the command line wins, faults name their place.  Source: seed requirements D, K; G36."""

from __future__ import annotations

import argparse
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lava.daemon.options import Encryption
from lava.daemon.settings import DaemonParser, Options, Setting, read_options
from lava.daemon.settings_file import SettingsError
from lava.master import main as master
from lava.slave import main as slave
from lava.wire.certificates import create_certificate, load_certificate
from lava.wire.messages import WireError


@dataclass(frozen=True)
class Case:
    """A setting, two of its values, and what it does."""

    daemon: ModuleType
    name: str
    #: in the file, and on the command line
    value: str
    typed: Sequence[str]
    #: returns what the setting decides, with the value and with what is typed
    observe: Callable[[argparse.Namespace], Any]
    effect: Any
    typed_effect: Any

    def __str__(self) -> str:
        return f"{self.daemon.__name__.split('.')[1]}-{self.name}"


def slave_knows(field: str) -> Callable[[argparse.Namespace], Any]:
    return lambda args: getattr(slave.configure(args), field)


def address(which: int) -> Callable[[argparse.Namespace], Any]:
    """The control (0) or the log (1) address of the slave's first master."""
    return lambda args: slave.configure(args).masters[0][which]


def master_knows(field: str) -> Callable[[argparse.Namespace], Any]:
    return lambda args: getattr(master.configure(args), field)


def is_set(knows: Callable[[argparse.Namespace], Any]) -> Callable[[argparse.Namespace], bool]:
    return lambda args: knows(args) is not None


def with_keys(knows: Callable[[argparse.Namespace], Any]) -> Callable[[argparse.Namespace], Any]:
    """What it is in an encrypted lab: without encryption there are no names to match."""

    def observe(args: argparse.Namespace) -> Any:
        assert not knows(args)
        args.encryption = Encryption.ON
        return knows(args)

    return observe


def attribute(name: str) -> Callable[[argparse.Namespace], Any]:
    return lambda args: getattr(args, name)


# Relative paths lead into the test's directory, see the fixture.
SLAVE = [
    ("MASTER_URL", "tcp://a:1", ["--master", "tcp://b:2"], address(0), "tcp://a:1", "tcp://b:2"),
    ("LOGGER_URL", "tcp://a:1", ["--socket-addr", "tcp://b:2"], address(1), "tcp://a:1", "tcp://b:2"),
    ("HOSTNAME", "--hostname rack-1", ["--hostname", "rack-2"], slave_knows("name"), "rack-1", "rack-2"),
    ("LOGLEVEL", "ERROR", ["--level", "INFO"], attribute("level"), "ERROR", "INFO"),
    ("LOG_FILE", "slave.log", ["--log-file", "-"], attribute("log_file"), "slave.log", "-"),
    ("ENCRYPT", "--encrypt", ["--plain"], is_set(slave_knows("own")), True, False),
    ("PLAIN", "--plain", ["--encrypt"], is_set(slave_knows("own")), False, True),
    ("MASTER_CERT", "--master-cert a.key", ["--master-cert", "b.key"], attribute("master_cert"), "a.key", "b.key"),
    ("SLAVE_CERT", "--slave-cert a.key_secret", ["--slave-cert", "b"], attribute("slave_cert"), "a.key_secret", "b"),
    ("IPV6", "--ipv6", ["--no-ipv6"], slave_knows("ipv6"), True, False),
    ("SOCKS_PROXY", "--socks-proxy a:1", ["--socks-proxy", "b:2"], slave_knows("socks_proxy"), "a:1", "b:2"),
    ("STATE_DIR", "one", ["--state-dir", "two"], attribute("state_dir"), "one", "two"),
    (
        *("LAVA_RUN", "nice -n 5 lava-run", ["--lava-run", "lava-run"]),
        *(slave_knows("lava_run"), ["nice", "-n", "5", "lava-run"], ["lava-run"]),
    ),
    ("STOP_JOBS_ON_EXIT", "--stop-jobs-on-exit", [], slave_knows("stop_jobs_on_exit"), True, True),
]
MASTER = [
    (
        *("MASTER_SOCKET", "--master-socket tcp://127.0.0.1:1", ["--master-socket", "tcp://*:2"]),
        *(master_knows("control"), "tcp://127.0.0.1:1", "tcp://*:2"),
    ),
    (
        *("LOG_SOCKET", "--log-socket tcp://127.0.0.1:1", ["--log-socket", "tcp://*:2"]),
        *(master_knows("logger"), "tcp://127.0.0.1:1", "tcp://*:2"),
    ),
    ("LOGLEVEL", "ERROR", ["--level", "DEBUG"], attribute("level"), "ERROR", "DEBUG"),
    ("LOG_FILE", "master.log", ["--log-file", "-"], attribute("log_file"), "master.log", "-"),
    ("ENCRYPT", "--encrypt", ["--plain"], is_set(master_knows("own")), True, False),
    ("PLAIN", "--plain", ["--encrypt"], is_set(master_knows("own")), False, True),
    ("MASTER_CERT", "--master-cert a", ["--master-cert", "b"], attribute("master_cert"), "a", "b"),
    ("SLAVES_CERTS", "--slaves-certs a", ["--slaves-certs", "b"], attribute("slaves_certs"), "a", "b"),
    ("MATCH_NAMES", "--match-names", ["--no-match-names"], with_keys(master_knows("match_names")), True, False),
    ("IPV6", "--ipv6", ["--no-ipv6"], master_knows("ipv6"), True, False),
]
CASES = [Case(slave, *row) for row in SLAVE] + [Case(master, *row) for row in MASTER]
BOTH = pytest.mark.parametrize("daemon", [slave, master], ids=["slave", "master"])


@pytest.fixture(autouse=True)
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default certificates, in a directory of the test's own."""
    for name in ("master", "slave"):
        create_certificate(tmp_path, name)
    for daemon in (slave, master):
        monkeypatch.setattr(daemon, "CERTIFICATES", tmp_path)
    monkeypatch.chdir(tmp_path)


def told(daemon: ModuleType, text: str | None, *typed: str) -> Options:
    """Return what a daemon reads of its file and of its command line."""
    file = Path("settings")
    if text is not None:
        file.write_text(text)
    parser: DaemonParser = daemon.parser()
    return read_options(parser, daemon.SETTINGS, typed, default_file=file)


def plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("case", CASES, ids=str)
def test_g36_each_setting_has_its_effect(case: Case) -> None:
    """G36; R24-R30, R83, R84 on the slave; R92-R96 on the master."""
    unset = plain(case.observe(told(case.daemon, f'# {case.name}="{case.value}"\n').args))
    done = plain(case.observe(told(case.daemon, f'{case.name}="{case.value}"\n').args))
    assert done == case.effect
    assert case.name == "PLAIN" or done != unset  # that plain is not encrypted is also the default: see the warnings


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_command_line_wins_over_the_file(case: Case) -> None:
    """G36: what is typed is the last word."""
    args = told(case.daemon, f'{case.name}="{case.value}"\n', *case.typed).args
    assert plain(case.observe(args)) == case.typed_effect


@BOTH
def test_g36_the_table_of_this_test_is_whole(daemon: ModuleType) -> None:
    """G36: every setting; and every option but those about the file itself can be set in it."""
    assert [case.name for case in CASES if case.daemon is daemon] == [setting.name for setting in daemon.SETTINGS]
    options = {word for action in daemon.parser()._actions for word in action.option_strings if word.startswith("--")}
    negations = {f"--no-{s.option.removeprefix('--')}" for s in daemon.SETTINGS}
    assert options - {s.option for s in daemon.SETTINGS} - negations == {"--help", "--config"}


@pytest.mark.parametrize(
    ("daemon", "name", "option"),
    [(daemon, s.name, s.option) for daemon in (slave, master) for s in daemon.SETTINGS if not s.flag],
)
def test_a_value_may_stand_with_its_option_or_without(daemon: ModuleType, name: str, option: str) -> None:
    """R24, R29: some values were always written with their option and some without."""
    value = {"LOGLEVEL": "ERROR", "SOCKS_PROXY": "a:1"}.get(name, "some-thing")
    words = [option, value]
    for written in (value, f"{option} {value}", f"{option}={value}", f"{option} '{value}'"):
        assert list(told(daemon, f'{name}="{written}"\n').words) == words


def test_a_path_with_blanks_can_be_written() -> None:
    """R29: with quotes beside its option, or alone."""
    for written in ("--master-cert '/some where/a=b.key'", "/some where/a=b.key"):
        assert told(slave, f'MASTER_CERT="{written}"\n').args.master_cert == Path("/some where/a=b.key")


def test_r23_defaults_of_the_slave() -> None:
    """R23, R28, R29, R30, R104."""
    args = told(slave, None).args
    assert (args.master, args.socket_addr) == ("tcp://localhost:5556", "tcp://localhost:5555")
    configuration = slave.configure(args)
    assert (configuration.own, configuration.master_key) == (None, None)
    assert configuration.name == socket.getfqdn()


@pytest.mark.parametrize(
    ("daemon", "option", "path"),
    [
        (slave, "master_cert", "/etc/lava-dispatcher/certificates.d/master.key"),
        (slave, "slave_cert", "/etc/lava-dispatcher/certificates.d/slave.key_secret"),
        (master, "master_cert", "/etc/lava-dispatcher/certificates.d/master.key_secret"),
        (master, "slaves_certs", "/etc/lava-dispatcher/certificates.d"),
    ],
)
def test_r94_default_places_of_certificates(
    daemon: ModuleType, option: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R29, R30, R77, R78, R94, R95."""
    monkeypatch.undo()
    assert str(getattr(daemon.parser().parse_args([]), option)) == path


def test_r94_defaults_of_the_master() -> None:
    """R61, R96: the ports that slaves expect, and no encryption."""
    args = told(master, None).args
    assert (args.master_socket, args.log_socket) == ("tcp://*:5556", "tcp://*:5555")
    assert master.configure(args).own is None


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "WARN", "ERROR", "debug"])
@BOTH
def test_r27_each_level_is_accepted(daemon: ModuleType, level: str) -> None:
    """R27, R196."""
    assert told(daemon, f'LOGLEVEL="{level}"\n').args.level == level.upper()


@BOTH
def test_r27_an_unknown_level_is_refused_with_the_choices(daemon: ModuleType) -> None:
    """R27."""
    with pytest.raises(SettingsError) as error:
        told(daemon, '\nLOGLEVEL="LOUD"\n')
    assert str(error.value).startswith("settings:2: argument --level: invalid choice: 'LOUD'")
    assert all(level in str(error.value) for level in ("DEBUG", "INFO", "WARNING", "ERROR"))


def test_r27_the_slave_says_everything_unless_it_is_told_otherwise() -> None:
    """R27, R107: pings are looked for in the log of a slave that nobody configured."""
    assert told(slave, None).args.level == "DEBUG"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('MASTER_ULR="x"', "there is no setting 'MASTER_ULR': did you mean MASTER_URL?"),
        ('ENCYRPT="--encrypt"', "there is no setting 'ENCYRPT': did you mean ENCRYPT?"),
        ('loglevel="DEBUG"', "did you mean LOGLEVEL?"),
        ('FOO="x"', "there is no setting 'FOO': take it away; there are MASTER_URL, LOGGER_URL, "),
        ('ENCRYPT="yes"', 'write ENCRYPT="--encrypt", or take the line away'),
        ('ENCRYPT="--plain"', 'write ENCRYPT="--encrypt", or take the line away'),
        ('MASTER_CERT="--slave-cert x"', "MASTER_CERT sets --master-cert, not --slave-cert"),
        ('MASTER_CERT="--master-cert"', "--master-cert needs one value"),
        ('MASTER_CERT="--master-cert a b"', "--master-cert needs one value"),
        ('MASTER_CERT="--master-cert \'a"', "a quote in the value of MASTER_CERT is not closed"),
        ('HOSTNAME="--hostname a --encrypt"', "--hostname needs one value"),
        ('SOCKS_PROXY="--socks-proxy proxy"', "'proxy' is no address of a proxy: write HOST:PORT"),
        ('SOCKS_PROXY="proxy:99999"', "'proxy:99999' is no address of a proxy"),
        ('SOCKS_PROXY="socks://proxy:1"', "is no address of a proxy"),
        ('ENCRYPT="--encrypt"\nPLAIN="--plain"', "PLAIN contradicts ENCRYPT in line 1"),
    ],
)
def test_a_wrong_setting_is_named_with_a_remedy(text: str, message: str) -> None:
    """R22, G36: a misspelt name is not silently without effect."""
    with pytest.raises(SettingsError, match=re.escape(message)) as error:
        told(slave, text + "\n")
    assert re.match(r"settings:\d+: ", str(error.value))


def test_all_wrong_settings_are_said_at_once() -> None:
    """R22."""
    with pytest.raises(SettingsError) as error:
        told(slave, 'FOO="x"\nLOGLEVEL="LOUD"\nENCRYPT="on"\n')
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["1", "2", "3"]


def test_an_empty_value_sets_nothing() -> None:
    """R22: as in the shell, where nothing is left of it."""
    assert told(slave, 'ENCRYPT=""\nMASTER_URL=""\nLOGLEVEL=" "\n').words == ()


@BOTH
def test_a_missing_file_is_fine_unless_it_was_named(daemon: ModuleType) -> None:
    """R5: both daemons start with no configuration file at all."""
    assert told(daemon, None).words == ()
    with pytest.raises(SettingsError, match=r"^mine: there is no such file; name another one with --config$"):
        told(daemon, None, "--config", "mine")


def test_another_file_can_be_named() -> None:
    """R22: and then the default one is not read."""
    Path("mine").write_text('MASTER_URL="tcp://mine:1"\n')
    args = told(slave, 'MASTER_URL="tcp://default:1"\nHOSTNAME="default"\n', "--config", "mine").args
    assert (args.master, args.hostname) == ("tcp://mine:1", None)


def test_r22_the_files_are_where_they_always_were() -> None:
    """R22, R92."""
    assert str(slave.SETTINGS_FILE) == "etc/lava-dispatcher/lava-slave"
    assert str(master.SETTINGS_FILE) == "etc/lava-server/lava-master"


@BOTH
def test_r22_the_default_file_is_read_and_its_faults_end_the_daemon(
    daemon: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R22, R92: status 2, and all faults on standard error."""
    file = tmp_path / daemon.SETTINGS_FILE
    file.parent.mkdir(parents=True)
    file.write_text("ENCRYPT=1\nwhat\n")
    with pytest.raises(SystemExit) as ended:
        daemon.main([], root=tmp_path)
    assert ended.value.code == 2
    program = f"lava-{daemon.__name__.split('.')[1]}"
    assert capsys.readouterr().err.startswith(f"{program}: {file}:2: 'what' is no assignment")


@BOTH
def test_a_wrong_command_line_is_not_blamed_on_the_file(daemon: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """G36."""
    with pytest.raises(SystemExit) as ended:
        told(daemon, 'LOGLEVEL="INFO"\n', "--level", "LOUD")
    assert ended.value.code == 2
    assert "settings" not in capsys.readouterr().err


def test_g36_keys_come_from_the_files_that_are_named(tmp_path: Path) -> None:
    """R84, R94: a misspelt name once made the setting dead."""
    own_public, own_secret = create_certificate(tmp_path / "else", "rack-1")
    public, secret = create_certificate(tmp_path / "else", "the-master")
    text = f'ENCRYPT="--encrypt"\nMASTER_CERT="--master-cert {public}"\nSLAVE_CERT="--slave-cert {own_secret}"\n'
    read = slave.configure(told(slave, text).args)
    assert read.own == load_certificate(own_secret, secret=True)
    assert read.master_key == load_certificate(public, secret=False)
    text = f'ENCRYPT="--encrypt"\nMASTER_CERT="--master-cert {secret}"\nSLAVES_CERTS="{own_public.parent}"\n'
    knows = master.configure(told(master, text).args)
    assert (knows.own, knows.slaves) == (load_certificate(secret, secret=True), own_public.parent)


def test_no_name_is_set_twice() -> None:
    """G36: one name, one option."""
    for daemon in (slave, master):
        settings: Sequence[Setting] = daemon.SETTINGS
        assert len({setting.name for setting in settings}) == len({s.option for s in settings}) == len(settings)


def test_several_masters_have_two_addresses_each() -> None:
    masters = "tcp://a:5556, tcp://b:5556"
    args = told(slave, f'MASTER_URL="{masters}"\nLOGGER_URL="tcp://a:5555,tcp://b:5555"\nPLAIN="--plain"\n').args
    assert slave.configure(args).masters == [("tcp://a:5556", "tcp://a:5555"), ("tcp://b:5556", "tcp://b:5555")]
    args = told(slave, f'MASTER_URL="{masters}"\nLOGGER_URL="tcp://a:5555"\n').args
    with pytest.raises(WireError, match="--master names 2 masters and --socket-addr 1"):
        slave.configure(args)
