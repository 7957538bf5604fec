"""What every action block may carry.  Source: job definition 7.1."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .base import Model, Strings, TimeoutValue, fault

RESERVED_NAMESPACES = ("common", "docker-test-shell")


def _some_timeouts(value: Any) -> Any:
    return {} if value is None else value


class Block(Model):
    """One element of ``actions``; a subclass adds what its method takes."""

    kind: ClassVar[Literal["deploy", "boot", "test", "command"]]

    timeout: TimeoutValue | None = None
    timeouts: Annotated[dict[str, TimeoutValue], BeforeValidator(_some_timeouts)] = {}
    namespace: str | None = None
    connection_namespace: Annotated[str | None, Field(alias="connection-namespace")] = None
    role: Strings = ()
    protocols: dict[str, Any] = {}
    failure_retry: Annotated[int, Field(ge=1)] | None = None
    failure_retry_interval: Annotated[int, Field(ge=1)] = 1
    repeat: Annotated[int, Field(ge=1)] | None = None

    @field_validator("namespace")
    @classmethod
    def _not_reserved(cls, namespace: str | None) -> str | None:
        if namespace in RESERVED_NAMESPACES:
            raise fault(f"the namespace '{namespace}' is reserved", "choose another name")
        return namespace

    @model_validator(mode="after")
    def _one_way_to_repeat(self) -> Block:
        if self.failure_retry is not None and self.repeat is not None:
            raise fault("failure_retry and repeat exclude each other", "keep one of them")
        return self

    @property
    def method(self) -> str:
        """What selects the method: ``to`` of a deploy, ``method`` of a boot, the kind of a test, a command's name."""
        raise NotImplementedError

    @property
    def retry_interval(self) -> timedelta:
        """The pause between two attempts."""
        return timedelta(seconds=self.failure_retry_interval)


class CommandBlock(Block):
    """Run a command of the device on the worker.  Source: job definition 11."""

    kind = "command"

    name: Annotated[str, Field(min_length=1)]

    @property
    def method(self) -> str:
        return self.name
