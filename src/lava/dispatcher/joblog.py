"""The log of the job that this process runs: the place where a line is written, once."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import RawIOBase
from typing import Any

from lava.model.logline import Level, LogLine, encode, encode_lines
from lava.spool import LogFile

MASK = "[MASKED]"
#: shorter ones would mask half of the log
_SHORTEST_SECRET = 3
#: so many lines with signals are remembered; far more than come between two looks at the console
_WATCHED_SIGNALS = 10_000


class JobLog:
    """Writes log lines to the job's file, and to a second place for callers that read along."""

    def __init__(
        self,
        file: LogFile,
        *,
        secrets: Sequence[str] = (),
        mirror: RawIOBase | None = None,
        on_failure: Callable[[OSError], None] | None = None,
    ) -> None:
        """Write to ``file``.

        Args:
            secrets: values that must not appear; each is replaced by :data:`MASK`.
            mirror: gets every line, too, without the leading ``- ``; unbuffered, so that nothing is left for the end.
            on_failure: told once when a line cannot be written; what comes later is dropped.
        """
        self._file = file
        self._secrets: list[str] = []
        self.set_secrets(secrets)
        self._mirror = mirror
        self.on_failure = on_failure
        #: what kept a line from being written; nothing is written after it
        self.failure: OSError | None = None
        self._signals: deque[tuple[int, str]] | None = None
        #: number of the next line, from 0
        self.line_number = 0

    def set_secrets(self, secrets: Sequence[str]) -> None:
        """Mask these values from now on, every line of them; the longest first, as one may hold another."""
        lines = {line.strip() for secret in secrets for line in secret.splitlines()}
        self._secrets = sorted({line for line in lines if len(line) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def debug(self, text: str) -> None:
        self._text(Level.DEBUG, text)

    def info(self, text: str) -> None:
        self._text(Level.INFO, text)

    def warning(self, text: str) -> None:
        self._text(Level.WARNING, text)

    def error(self, text: str) -> None:
        self._text(Level.ERROR, text)

    def exception(self, text: str) -> None:
        self._text(Level.EXCEPTION, text)

    def event(self, text: str) -> None:
        self._text(Level.EVENT, text)

    def traceback(self, error: BaseException) -> None:
        """Log the traceback of an error that is ours."""
        self.lines(Level.EXCEPTION, "".join(traceback.format_exception(error)).rstrip().split("\n"))

    def results(self, record: Mapping[str, Any]) -> int:
        """Log a result mapping and return the number of its line."""
        number = self.line_number
        self._write(encode(LogLine(datetime.now(UTC), Level.RESULTS, self.masked(record))), 1)
        return number

    def lines(self, level: Level, texts: Sequence[str], namespace: str | None = None) -> None:
        """Log many lines of one moment in one write."""
        if self._secrets:
            texts = [self._masked(text) for text in texts]
        self._write(encode_lines(datetime.now(UTC), level, texts, namespace), len(texts))

    def console(self, level: str, texts: Sequence[str]) -> None:
        """Log what a console says or is told; the callback of :class:`lava.console.Console`."""
        if self._signals is not None and level == "target":
            self._signals.extend(
                (self.line_number + index, text) for index, text in enumerate(texts) if "<LAVA_SIGNAL_" in text
            )
        self.lines(Level(level), texts)

    def watch_signals(self, *, on: bool = True) -> None:
        """Remember on which lines signals stand: they are logged in batches, and interpreted one by one."""
        self._signals = deque(maxlen=_WATCHED_SIGNALS) if on else None

    def line_of_signal(self, signal: str) -> int:
        """Return the number of the line that holds the signal; each is asked for once, in order."""
        found = next((index for index, (_, text) in enumerate(self._signals or ()) if signal in text), None)
        if found is None or self._signals is None:
            return self.line_number  # its line is not finished yet: it will be the next one
        for _ in range(found):
            self._signals.popleft()  # they were cut by kernel messages: nobody asks for them any more
        number, text = self._signals[0]
        if text.count("<LAVA_SIGNAL_") == 1:
            self._signals.popleft()
        return number

    def close(self) -> None:
        self._file.close()

    def _text(self, level: Level, text: str) -> None:
        self.lines(level, text.split("\n"))

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def masked(self, value: Any) -> Any:
        """Return the value with every secret in it replaced, for a file beside the log."""
        if not self._secrets:
            return value
        match value:
            case str():
                return self._masked(value)
            case Mapping():
                return {key: self.masked(item) for key, item in value.items()}
            case list() | tuple():
                return [self.masked(item) for item in value]
            case _:
                return value

    def _write(self, encoded: bytes, count: int) -> None:
        if self.failure is not None:
            return
        try:
            self._file.append(encoded)
        except OSError as error:
            self.failure = error
            if self.on_failure is not None:
                self.on_failure(error)
            return
        self.line_number += count
        if self._mirror is not None:
            view = memoryview(encoded.removeprefix(b"- ").replace(b"\n- ", b"\n"))
            try:
                while view:
                    view = view[self._mirror.write(view) or 0 :]
            except OSError:
                self._mirror = None  # nobody reads along any more
