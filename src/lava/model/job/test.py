"""Test blocks: the kind is chosen by which key is there.  Source: job definition 10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .base import AsTuple, Model, Strings, Text, Texts, fault
from .block import Block
from .resource import CompressionValue, Docker

Name = Annotated[str, Field(pattern=r"^[-_a-zA-Z0-9.]+$")]
SKIPPABLE = ("keys", "sources", "deps", "steps", "git-repos", "all")


class Definition(Model):
    """One entry of ``definitions``: where a test definition comes from and how it is run."""

    source: Annotated[Literal["git", "url", "inline", "tar", "bzr"], Field(alias="from")]
    repository: str | dict[str, Any]
    path: Text
    name: Name
    parameters: dict[str, Any] = {}
    params: dict[str, Any] = {}
    skip_install: Strings = ()
    lava_signal: Annotated[Literal["stdout", "kmsg"], Field(alias="lava-signal")] = "stdout"
    expected: Strings | None = None
    branch: str | None = None
    revision: str | None = None
    shallow: bool | None = None
    history: bool = True
    recursive: bool = False
    compression: CompressionValue = None
    strip_components: Annotated[int, Field(alias="strip-components", ge=0)] = 0
    headers: dict[str, str] = {}

    @field_validator("name")
    @classmethod
    def _not_the_jobs_own(cls, name: str) -> str:
        if name == "lava":
            raise fault("the name 'lava' is reserved", "it is the suite of the job's own actions")
        return name

    @field_validator("skip_install")
    @classmethod
    def _known_parts(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        for part in parts:
            if part not in SKIPPABLE:
                raise fault(f"'{part}' cannot be skipped", f"one of: {', '.join(SKIPPABLE)}")
        return parts

    @model_validator(mode="after")
    def _fits_together(self) -> Definition:
        if self.source == "inline" and not isinstance(self.repository, Mapping):
            raise fault("repository of an inline definition is the test definition itself", "write a mapping below it")
        if self.source != "inline" and not isinstance(self.repository, str):
            raise fault("repository is an address", "only 'from: inline' takes a mapping")
        if self.revision is not None and self.shallow:
            raise fault("revision cannot be combined with 'shallow: true'", "take one of them away")
        return self

    @property
    def variables(self) -> dict[str, Any]:
        """The shell variables that the job sets; ``params`` wins over ``parameters`` of the same name."""
        return {**self.parameters, **self.params}


class TestBlock(Block):
    """Run tests.  Base of the kinds."""

    __test__ = False
    kind = "test"

    name: str | None = None


class DefinitionsTest(TestBlock):
    """A shell on the device, or in a container, runs test definitions."""

    definitions: Annotated[tuple[Definition, ...], AsTuple, Field(min_length=1)]
    docker: Docker | None = None
    downloads_namespace: Annotated[str | None, Field(alias="downloads-namespace")] = None
    disconnect_connection: bool = False

    @property
    def method(self) -> str:
        return "docker" if self.docker else "definitions"


class Message(Model):
    message: Text
    exception: Literal["InfrastructureError", "JobError", "TestError"] | None = None
    error: str | None = None


_STEP_KEYS = ("command", "delay", "lava-send", "lava-sync", "lava-wait", "lava-wait-all")


class Step(Model):
    """One step of an interactive script: exactly one thing to do."""

    command: str | None = None
    delay: int | None = None
    lava_send: Annotated[str | None, Field(alias="lava-send")] = None
    lava_sync: Annotated[str | None, Field(alias="lava-sync")] = None
    lava_wait: Annotated[str | None, Field(alias="lava-wait")] = None
    lava_wait_all: Annotated[str | None, Field(alias="lava-wait-all")] = None
    name: Name | None = None
    successes: Annotated[tuple[Message, ...], AsTuple] = ()
    failures: Annotated[tuple[Message, ...], AsTuple] = ()
    wait_for_prompt: bool = True

    @model_validator(mode="before")
    @classmethod
    def _one_thing(cls, step: Any) -> Any:
        if isinstance(step, dict) and sum(key in step for key in _STEP_KEYS) != 1:
            raise fault("a step does exactly one thing", f"one of: {', '.join(_STEP_KEYS)}")
        return step


class Script(Model):
    name: Name
    prompts: Texts
    echo: Literal["discard"] | None = None
    expected: Strings | None = None
    script: Annotated[tuple[Step, ...], AsTuple]


class InteractiveTest(TestBlock):
    """Commands typed at a prompt that is no shell of ours: boot loaders above all."""

    interactive: Annotated[tuple[Script, ...], AsTuple, Field(min_length=1)]

    @property
    def method(self) -> str:
        return "interactive"


class Monitor(Model):
    name: Name
    start: Text
    end: Text
    pattern: Text
    fixupdict: dict[str, Literal["pass", "fail", "skip", "unknown"]] = {}
    expected: Strings | None = None


class MonitorsTest(TestBlock):
    """Results read off the console of something that only prints."""

    monitors: Annotated[tuple[Monitor, ...], AsTuple, Field(min_length=1)]

    @property
    def method(self) -> str:
        return "monitors"


class Service(Model):
    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    source: Annotated[Literal["git", "url"], Field(alias="from")]
    repository: str
    path: Text
    service: str | None = None
    branch: str | None = None
    history: bool = True
    revision: str | None = None
    recursive: bool = False
    shallow: bool | None = None
    compression: CompressionValue = None
    headers: dict[str, str] = {}


class ServicesTest(TestBlock):
    """Containers on the worker that run beside the tests."""

    services: Annotated[tuple[Service, ...], AsTuple, Field(min_length=1)]

    @property
    def method(self) -> str:
        return "services"


#: the key that chooses the kind: its block
TEST_BLOCKS: dict[str, type[TestBlock]] = {
    "definitions": DefinitionsTest,
    "interactive": InteractiveTest,
    "monitors": MonitorsTest,
    "services": ServicesTest,
}
