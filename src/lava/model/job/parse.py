"""From a loaded document to a :class:`JobDefinition`, or to every fault in it.

The *lenient* reading accepts what labs' existing jobs hold: unknown keys inside blocks are ignored.  The *strict*
reading names them.  Required keys, types and choices are enforced in both.  Source: job definition 1.5, 13.1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from lava.model.faults import Fault, Path, Severity, SubmissionError, did_you_mean
from lava.model.test_definition import definition_faults
from lava.model.yaml_source import Source

from .base import Model, Timeout, describe
from .block import Block, CommandBlock
from .boot import BOOT_BLOCKS, BootBlock
from .definition import CONTEXT_VARIABLES, JobDefinition, Role
from .deploy import DEPLOY_BLOCKS
from .places import misplaced_in_boot, misplaced_in_deploy, misplaced_in_multinode
from .test import TEST_BLOCKS, DefinitionsTest

ModelT = TypeVar("ModelT", bound=Model)

KINDS = ("deploy", "boot", "test", "command")
#: added by servers and by older clients; inert.  Source: job definition 2
IGNORED_TOP_KEYS = frozenset({"compatibility", "target", "dispatcher", "env_dut", "target_group", "role"})
_TOP_KEYS = tuple(sorted(name for name in JobDefinition.model_fields if name != "document"))
FORBIDDEN_WITH_MULTINODE = ("device_type", "environment", "context", "tags")


def parse_job_text(
    text: str, *, strict: bool = False, file: str = "", extra_context: Collection[str] = ()
) -> JobDefinition:
    """Return the definition; faults carry line and column.

    Raises:
        SubmissionError: with every fault.
    """
    source = Source(text, file)
    try:
        return parse_job(source.value, strict=strict, extra_context=extra_context)
    except SubmissionError as error:
        raise SubmissionError(source.placed(error.faults)) from error


def strict_warnings(source: Source, *, extra_context: Collection[str] = ()) -> list[Fault]:
    """Return what only the strict reading refuses in a document that the lenient one accepts, as warnings."""
    try:
        parse_job(source.value, strict=True, extra_context=extra_context)
    except SubmissionError as error:
        return [fault.as_warning() for fault in source.placed(error.faults)]
    return []


def parse_job(document: object, *, strict: bool = False, extra_context: Collection[str] = ()) -> JobDefinition:
    """Return the definition that the document holds.

    Args:
        document: what a safe YAML loader made of the text.
        strict: refuse unknown keys, too.
        extra_context: context variables that this instance allows beyond the usual ones.

    Raises:
        SubmissionError: with every fault; paths only, no lines.
    """
    if not isinstance(document, dict):
        raise SubmissionError(
            [Fault((), f"a job definition is a mapping, not {describe(document)}", "see the tutorial")]
        )
    if _is_version_1(document):
        raise SubmissionError([Fault((), "JSON (V1) jobs are not supported: a V2 job definition in YAML is expected")])
    faults: list[Fault] = []
    faults += _unknown_top_keys(document, strict)
    known = {key: value for key, value in document.items() if key in _TOP_KEYS}
    job = _validated(JobDefinition, {**known, "actions": ()}, (), strict, faults)
    blocks = _blocks(document.get("actions"), strict, faults)
    faults += _context_faults(document.get("context"), ("context",), extra_context)
    faults += _device_faults(document, extra_context, strict)
    if job is not None:
        faults += _timeout_faults(job, blocks)
    faults += _namespace_faults(blocks)
    faults += _test_faults(blocks, strict)
    errors = [fault for fault in faults if fault.severity is Severity.ERROR]
    if errors or job is None:
        raise SubmissionError(faults)
    actions = tuple(block for _, block in blocks)
    return job.model_copy(update={"actions": actions, "document": document})


def _is_version_1(document: Mapping[Any, Any]) -> bool:
    actions = document.get("actions")
    return isinstance(actions, list) and any(
        isinstance(action, dict) and isinstance(action.get("command"), str) and "metadata" not in action
        for action in actions
    )


def _unknown_top_keys(document: Mapping[Any, Any], strict: bool) -> Iterator[Fault]:
    for key in document:
        if key in _TOP_KEYS:
            continue
        ignored = key in IGNORED_TOP_KEYS
        if not strict and (ignored or str(key).startswith(("x-", "."))):  # where authors keep YAML anchors
            continue
        hint = "no submitted job needs it: take it away" if ignored else did_you_mean(key, _TOP_KEYS)
        yield Fault((str(key),), "unknown key", hint)


def _blocks(actions: object, strict: bool, faults: list[Fault]) -> list[tuple[Path, Block]]:
    if not isinstance(actions, list) or not actions:
        message = "required" if actions is None else f"must be a list with at least one action, not {describe(actions)}"
        faults.append(Fault(("actions",), message, "a list of deploy, boot and test blocks"))
        return []
    blocks: list[tuple[Path, Block]] = []
    for number, action in enumerate(actions):
        path: Path = ("actions", number)
        if not isinstance(action, dict) or len(action) != 1:
            faults.append(Fault(path, "an action is a mapping with exactly one key", f"one of: {', '.join(KINDS)}"))
            continue
        ((kind, content),) = action.items()
        if kind == "repeat" and isinstance(content, dict) and "actions" in content:
            hint = "write the blocks out, or use the key 'repeat: N' inside one block"
            faults.append(Fault((*path, "repeat"), "repeat blocks are no longer supported", hint))
            continue
        if kind not in KINDS:
            faults.append(Fault((*path, str(kind)), "unknown kind of action", did_you_mean(kind, KINDS)))
            continue
        if not isinstance(content, dict):
            faults.append(Fault((*path, kind), f"must be a mapping, not {describe(content)}"))
            continue
        model = _block_model(kind, content, (*path, kind), faults)
        if model is not None:
            block = _validated(model, content, (*path, kind), strict, faults)
            if strict and kind == "deploy":
                faults += misplaced_in_deploy(content["to"], content, (*path, kind))
            elif strict and kind == "boot":
                faults += misplaced_in_boot(content["method"], content, (*path, kind))
            if block is not None:
                blocks.append(((*path, kind), block))
    return blocks


def _block_model(kind: str, content: Mapping[Any, Any], path: Path, faults: list[Fault]) -> type[Block] | None:
    match kind:
        case "command":
            return CommandBlock
        case "test":
            for key, model in TEST_BLOCKS.items():
                if key in content:
                    return model
            faults.append(Fault(path, "no kind of test", f"add one of: {', '.join(TEST_BLOCKS)}"))
            return None
        case "deploy":
            return _by_method("to", content, dict(DEPLOY_BLOCKS), path, faults)
        case _:
            return _by_method("method", content, dict(BOOT_BLOCKS), path, faults)


def _by_method(
    key: str, content: Mapping[Any, Any], models: Mapping[str, type[Block]], path: Path, faults: list[Fault]
) -> type[Block] | None:
    method = content.get(key)
    if method is None:
        faults.append(Fault((*path, key), "required", f"for example '{key}: {next(iter(models))}'"))
        return None
    if not isinstance(method, str) or method not in models:
        faults.append(Fault((*path, key), f"unknown method '{method}'", did_you_mean(method, sorted(models))))
        return None
    return models[method]


def _validated(
    model: type[ModelT], content: Mapping[Any, Any], path: Path, strict: bool, faults: list[Fault]
) -> ModelT | None:
    try:
        return model.model_validate(content, extra="forbid" if strict else "ignore", context={"strict": strict})
    except ValidationError as error:
        faults += _faults_of(model, error, path, content)
        return None


def _faults_of(model: type[Model], error: ValidationError, path: Path, content: object) -> Iterator[Fault]:
    seen: set[Path] = set()
    for detail in error.errors(include_url=False):
        location = _document_path(detail["loc"], content, missing=detail["type"] == "missing")
        place = (*path, *location)
        if place in seen:  # alternatives of a union each complain
            continue
        seen.add(place)
        message, hint = _explain(model, detail, location)
        yield Fault(place, message, hint)


def _document_path(location: tuple[Any, ...], content: object, *, missing: bool) -> Path:
    """Keep those parts of pydantic's location that exist in the document: it also names the members of unions."""
    path: list[str | int] = []
    current = content
    for index, part in enumerate(location):
        if isinstance(current, Mapping) and part in current:
            current = current[part]
        elif isinstance(current, list | tuple) and isinstance(part, int) and part < len(current):
            current = current[part]
        elif not missing or index != len(location) - 1:
            continue
        path.append(part)
    return tuple(path)


def _explain(model: type[Model], detail: Any, location: Path) -> tuple[str, str]:
    """Say in the author's words what is wrong, and what to do."""
    value = detail.get("input")
    context = detail.get("ctx") or {}
    match detail["type"]:
        case "lava":
            return str(context["message"]), str(context["hint"])
        case "missing":
            return "required", ""
        case "extra_forbidden":
            return "unknown key", _key_hint(model, location)
        case "literal_error":
            wanted = str(context["expected"]).replace("'", "").replace(" or ", ", ")
            return f"{describe(value)} is none of the choices", did_you_mean(value, wanted.split(", "))
        case "string_type":
            hint = "put it in quotes" if isinstance(value, int | float | bool) else ""
            return f"must be text, not {describe(value)}", hint
        case "int_type" | "int_from_float":
            return f"must be a whole number, not {describe(value)}", "no quotes"
        case "bool_type":
            return f"must be true or false, not {describe(value)}", "no quotes"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must be a mapping, not {describe(value)}", ""
        case "tuple_type" | "list_type":
            return f"must be a list, not {describe(value)}", ""
        case "string_too_short" | "too_short":
            return "must not be empty", ""
        case "string_too_long":
            return f"must not be longer than {context['max_length']} characters", ""
        case "string_pattern_mismatch":
            return f"{describe(value)} has a wrong form", f"it must match {context['pattern']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}, not {describe(value)}", ""
        case _:
            return str(detail["msg"]), ""


def _key_hint(model: type[Model], location: Path) -> str:
    if len(location) != 1:
        return "take it away, or check its place"
    names = [field.alias or name for name, field in model.model_fields.items()]
    return did_you_mean(location[0], names) if len(names) > 12 else did_you_mean(location[0], sorted(names))


def _context_faults(context: object, path: Path, extra: Collection[str]) -> Iterator[Fault]:
    if isinstance(context, dict):
        allowed = CONTEXT_VARIABLES | set(extra)
        for key in context:
            if key not in allowed:
                yield Fault(
                    (*path, str(key)), "no context variable that a job may set", did_you_mean(key, sorted(allowed))
                )


def _timeout_faults(job: JobDefinition, blocks: list[tuple[Path, Block]]) -> Iterator[Fault]:
    limit = job.timeouts.job.duration

    def check(timeout: Timeout | None, path: Path, what: str) -> Iterator[Fault]:
        if timeout is not None and timeout.duration > limit:
            yield Fault(
                path,
                f"{what} timeout is larger than job timeout ({timeout.duration} > {limit})",
                "raise timeouts.job or lower this one",
            )

    yield from check(job.timeouts.action, ("timeouts", "action"), "Global")
    yield from check(job.timeouts.connection, ("timeouts", "connection"), "Global")
    for key in ("actions", "connections"):
        for name, timeout in getattr(job.timeouts, key).items():
            yield from check(timeout, ("timeouts", key, name), "Global")
    for path, block in blocks:
        yield from check(block.timeout, (*path, "timeout"), "Action")


def _device_faults(document: Mapping[Any, Any], extra: Collection[str], strict: bool) -> Iterator[Fault]:
    protocols = document.get("protocols")
    multinode = protocols.get("lava-multinode") if isinstance(protocols, dict) else None
    if strict and isinstance(multinode, dict):
        yield from misplaced_in_multinode(multinode, ("protocols", "lava-multinode"))
    if not isinstance(multinode, dict) or "roles" not in multinode:
        if document.get("device_type") is None and document.get("connection") is None:
            yield Fault(
                ("device_type",), "device_type or multinode should be defined", "name the type of device to run on"
            )
        return
    if "role" in multinode:  # generated: this is one node of a group
        return
    for key in FORBIDDEN_WITH_MULTINODE:
        if key in document:
            yield Fault((key,), "not allowed at top level of a MultiNode job", "put it into the roles")
    roles = multinode["roles"]
    if not isinstance(roles, dict):
        yield Fault(("protocols", "lava-multinode", "roles"), "must be a mapping of role names")
        return
    actions = document.get("actions")
    for number, action in enumerate(actions if isinstance(actions, list) else ()):
        if isinstance(action, dict):
            for kind, block in action.items():
                if isinstance(block, dict) and not block.get("role"):
                    yield Fault(("actions", number, str(kind), "role"), "every action of a MultiNode job needs a role")
    for name, role in roles.items():
        yield from _role_faults(str(name), role, roles, extra, strict)


def _role_faults(
    name: str, role: object, roles: Mapping[Any, Any], extra: Collection[str], strict: bool
) -> Iterator[Fault]:
    path: Path = ("protocols", "lava-multinode", "roles", name)
    if not isinstance(role, dict):
        yield Fault(path, f"must be a mapping, not {describe(role)}")
        return
    found: list[Fault] = []
    _validated(Role, role, path, strict, found)
    yield from found
    if ("device_type" in role) == ("connection" in role):
        yield Fault(path, "a role has either device_type or connection")
    if "device" in role and role.get("count") != 1:
        yield Fault((*path, "count"), "a role with a device has 'count: 1'")
    for key in ("host_role", "expect_role"):
        named = role.get(key)
        if isinstance(named, str) and named == name:
            yield Fault((*path, key), "a role cannot wait for itself", "name another role")
        elif isinstance(named, str) and named not in roles:
            yield Fault((*path, key), f"no role is called '{named}'", did_you_mean(named, [str(r) for r in roles]))
    if "connection" in role:
        for key in ("host_role", "expect_role"):
            if key not in role:
                yield Fault((*path, key), "required in a connection role")
        for key in ("device", "worker"):
            if key in role:
                yield Fault((*path, key), "not allowed in a connection role")
        named = role.get("host_role")
        host = roles.get(named) if isinstance(named, str) else None
        if isinstance(host, dict) and host.get("count") != 1:
            yield Fault((*path, "host_role"), "the role that is the host must have 'count: 1'")
    yield from _context_faults(role.get("context"), (*path, "context"), extra)


def _namespace_faults(blocks: list[tuple[Path, Block]]) -> Iterator[Fault]:
    if any(block.namespace for _, block in blocks):
        for path, block in blocks:
            if not block.namespace:
                hint = "give it one: some other action has one"
                yield Fault((*path, "namespace"), "every action should have a namespace", hint)


def _test_faults(blocks: list[tuple[Path, Block]], strict: bool) -> Iterator[Fault]:
    has_shell = False
    names: dict[tuple[str, str], Path] = {}
    for path, block in blocks:
        if isinstance(block, BootBlock):
            has_shell = has_shell or bool(block.prompts)
        if not isinstance(block, DefinitionsTest):
            continue
        for number, definition in enumerate(block.definitions):
            place = (*path, "definitions", number)
            roles = block.role or ("",)
            for role in roles:
                key = (f"{block.namespace or ''}/{role}", definition.name)
                if key in names:
                    hint = "names of test definitions are unique within a namespace"
                    yield Fault((*place, "name"), f"'{definition.name}' is used twice", hint)
                names[key] = place
            if isinstance(definition.repository, dict):
                for fault in definition_faults(definition.repository, strict=strict):
                    yield Fault((*place, "repository", *fault.path), fault.message, fault.hint)
