"""What the definition and the device say about one action.  Source: dispatcher specification 2-5."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lava.model.errors import LavaError
from lava.model.job import Block

#: namespace of the blocks of a job that names none
COMMON = "common"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettings:
    """Place, time and block of one action."""

    level: str
    name: str
    summary: str
    section: str
    namespace: str
    connection_namespace: str
    timeout: timedelta
    #: where the timeout comes from, for people
    timeout_source: str
    connection_timeout: timedelta
    max_retries: int
    retry_interval: timedelta
    repeat: bool
    on_timeout: type[LavaError]
    #: a test block that ran out of time may be left behind
    skip: bool
    #: pause between two characters typed
    character_delay: timedelta
    block: Block | None
