"""What a terminal shows of a running job."""

import io
from datetime import UTC, datetime

from lava.cli.follow import Display, Progress, Results
from lava.model.logline import Level, LogLine, encode

WHEN = datetime(2026, 3, 2, 9, 15, 1, tzinfo=UTC)


def line(message: object, level: Level = Level.DEBUG) -> LogLine:
    return LogLine(WHEN, level, message)  # type: ignore[arg-type]


def test_the_innermost_running_action_is_shown_with_its_remaining_time() -> None:
    progress = Progress()
    progress.read(line("start: 2 boot-image-retry (timeout 00:02:00) [common]"), now=100.0)
    progress.read(line("start: 2.2 auto-login-action (timeout 00:01:30) [common]"), now=110.0)

    assert progress.text(now=120.0) == "2.2 auto-login-action: 1:20 left"


def test_an_ended_action_gives_way_to_the_one_around_it() -> None:
    progress = Progress()
    progress.read(line("start: 2 boot-image-retry (timeout 00:02:00) [common]"), now=100.0)
    progress.read(line("start: 2.2 auto-login-action (timeout 00:01:30) [common]"), now=110.0)
    progress.read(line("end: 2.2 auto-login-action (duration 00:00:10) [common]"), now=120.0)

    assert progress.text(now=120.0) == "2 boot-image-retry: 1:40 left"


def test_an_action_past_its_time_has_nothing_left() -> None:
    progress = Progress()
    progress.read(line("start: 1 deployimages (timeout 00:00:05) [common]"), now=0.0)

    assert progress.text(now=60.0) == "1 deployimages: 0:00 left"


def test_results_of_the_job_itself_are_not_counted_as_tests() -> None:
    results = Results()
    for record in (
        {"definition": "lava", "case": "job", "result": "pass"},
        {"definition": "0_smoke", "case": "uname", "result": "pass"},
        {
            "definition": "0_smoke",
            "case": "size",
            "set": "files",
            "result": "fail",
            "measurement": 2.5,
            "units": "MB",
        },
    ):
        results.read(line(record, Level.RESULTS))

    assert (results.count("pass"), results.count("fail")) == (1, 1)
    assert results.table() == [("0_smoke", "uname", "pass", ""), ("0_smoke", "files/size", "fail", "2.5 MB")]


def test_output_to_a_file_is_plain() -> None:
    out = io.StringIO()
    display = Display(out)
    display.lines(
        [
            encode(line("start: 1 deployimages (timeout 00:00:05) [common]", Level.INFO)),
            encode(line("Linux version 6.1", Level.TARGET)),
            b"- not a log line",
        ]
    )

    printed = out.getvalue()
    assert "\x1b" not in printed
    assert printed.splitlines()[:2] == [
        "09:15:01 start: 1 deployimages (timeout 00:00:05) [common]",
        "09:15:01 Linux version 6.1",
    ]
    assert "unreadable log line" in printed
