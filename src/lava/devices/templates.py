"""Render device dictionaries.  Source: device configuration 2, 3.

Jinja2's own rules of inheritance give the precedence that labs rely on (a ``set`` without ``default`` in a dictionary
beats the job's context, and so on); nothing here improves on them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import (
    FileSystemLoader,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    nodes,
)
from jinja2.sandbox import SandboxedEnvironment

#: the templates that come with LAVA; an admin's directory before it shadows them
SHIPPED = Path(str(files("lava.devices").joinpath("types")))
_X86 = ("amd64", "x86_64", "i386")


class TemplateFault(Exception):
    """A dictionary cannot be rendered; the message names the file, the line and what is wrong there."""


class _Quoted(yaml.SafeDumper):
    """Writes one line of flow style in which every text is in double quotes."""


def _quoted_text(dumper: _Quoted, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoted.add_representer(str, _quoted_text)


def yaml_quote(value: Any) -> str:
    """Return the value as one line of YAML that reads back as an equal value.

    Raises:
        UndefinedError, TypeError: there is no value, or none that YAML knows.
    """
    if isinstance(value, Undefined):
        raise UndefinedError(f"'{value._undefined_name}' is undefined: give it a default")
    try:
        text: str = yaml.dump(value, Dumper=_Quoted, default_flow_style=True, width=10**9, allow_unicode=True)
    except yaml.representer.RepresenterError:
        raise TypeError(f"{value!r} is nothing that YAML can hold") from None
    return text.removesuffix("\n").removesuffix("...").removesuffix("\n")


def qemu_guest_fs_interface(arch: str, chosen: str = "") -> str:
    """Return the interface by which a QEMU guest sees the disk that brings the tests."""
    return chosen or ("ide" if arch in _X86 else "virtio")


class Templates:
    """Renders dictionaries of one directory with the templates of others; notices changed files by itself."""

    def __init__(self, devices: Path | None, device_types: Sequence[Path]) -> None:
        """Search ``devices`` first, then each of ``device_types`` in order."""
        self._paths = [path for path in (devices, *device_types) if path is not None]
        self._loader = FileSystemLoader([str(path) for path in self._paths])
        self._environment = SandboxedEnvironment(
            loader=self._loader,
            trim_blocks=True,
            autoescape=False,
            cache_size=-1,
        )
        self._environment.filters["yaml_quote"] = yaml_quote
        self._environment.filters["shlex_quote"] = shlex.quote
        self._environment.filters["qemu_guest_fs_interface"] = qemu_guest_fs_interface

    def render(self, name: str, *, hostname: str, device_type: str, context: Mapping[str, Any] | None = None) -> str:
        """Return the YAML text of a dictionary or template.

        Args:
            name: file name, with its ``.jinja2``.
            context: variables that the job sets; host name and device type are not among them.

        Raises:
            TemplateFault: the dictionary, or a template that it extends, is missing or wrong.
        """
        variables = {
            **(context or {}),
            "scheduled_device_name": hostname,
            "scheduled_device_type": device_type,
        }
        try:
            return self._environment.get_template(name).render(variables)
        except TemplateNotFound as error:
            searched = ", ".join(str(path) for path in self._paths)
            raise TemplateFault(f"{name}: '{error.name}' is in none of {searched}") from error
        except TemplateSyntaxError as error:
            raise TemplateFault(f"{error.filename or name}:{error.lineno}: {error.message}") from error
        except RecursionError as error:
            raise TemplateFault(f"{_where(error) or name}: it extends or includes itself, or never ends") from error
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, OSError) as error:
            said = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
            raise TemplateFault(f"{_where(error) or name}: {said}") from error

    def source(self, name: str) -> str | None:
        """Return the text of the file itself, or None."""
        try:
            return self._loader.get_source(self._environment, name)[0]
        except (TemplateNotFound, OSError, UnicodeDecodeError):
            return None

    def names(self) -> list[str]:
        """Return the names of all dictionaries and templates."""
        return self._environment.list_templates(extensions=["jinja2"])

    def extended(self, name: str) -> str | None:
        """Return what the dictionary extends, without its suffix; None unless it is exactly one literal.

        Read off the text, not rendered: health checks are found by it.  Source: device configuration 13.
        """
        text = self.source(name)
        if text is None:
            return None
        try:
            parsed = self._environment.parse(text)
        except TemplateSyntaxError:
            return None
        extends = list(parsed.find_all(nodes.Extends))
        if len(extends) != 1 or not isinstance(extends[0].template, nodes.Const):
            return None
        return str(extends[0].template.value).removesuffix(".jinja2")


def _where(error: BaseException) -> str:
    """Return ``file:line`` of the innermost template in a traceback, which Jinja2 rewrites to the template's own."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.endswith(".jinja2"):
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
