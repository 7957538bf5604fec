"""Type a command at a shell and learn whether it worked.  Source: dispatcher specification 11.4."""

from __future__ import annotations

import re

from lava.console import Console
from lava.model.errors import JobError

from .job import StepContext

# The spelling is historic; it never leaves this exchange.
_MARK = "<LAVA_SIGNAL_RETRUNCODE"
_ANSWER = re.compile(rb"<LAVA_SIGNAL_RETRUNCODE (\d+)>")
_SECONDS = 15.0


async def checked(job: StepContext, console: Console, command: str, *, timeout: float = _SECONDS) -> None:
    """Type the command and wait for its exit status and the prompt.

    Raises:
        JobError: it failed, or there was no answer in time.
    """
    line = f'{command} ; printf "{_MARK} $?>\\n"'
    await console.send(line, character_delay=job.step.character_delay)
    try:
        answer = await console.expect([_ANSWER], timeout=timeout)
        await console.prompt(console.prompts, timeout=timeout, log=job.log.debug)
    except TimeoutError as error:
        raise JobError(f"'{command}' gave no answer within {timeout:.0f} seconds") from error
    status = int(answer.groups[0] or b"0")
    if status:
        raise JobError(f"'{command}' failed on the device with exit status {status}; it said:\n{console.last_lines}")
