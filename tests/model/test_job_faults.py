"""What is wrong with a job is said with its path, place, reason and remedy.  Job definition 2-6, 13.1, 14."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lava.model.faults import Fault, Severity, SubmissionError
from lava.model.job import DownloadsDeploy, JobDefinition, TmpfsDeploy, parse_job, parse_job_text

_HEAD = """\
job_name: a job
device_type: qemu
visibility: public
timeouts:
  job: {minutes: 10}
"""
_ACTIONS = """\
actions:
- deploy:
    to: tmpfs
    images:
      rootfs: {url: 'http://x/y'}
"""
_TEST = """\
actions:
- test:
    definitions:
    - {from: git, name: smoke, path: a.yaml, repository: 'http://x/y.git'}
"""


def faults_of(text: str, *, strict: bool = False, **arguments: Any) -> list[Fault]:
    try:
        parse_job_text(textwrap.dedent(text), strict=strict, **arguments)
    except SubmissionError as error:
        return list(error.faults)
    return []


def changed(place: str, line: str) -> str:
    """Return the job with one line at its top level replaced or added."""
    parts = re.split(r"(?m)^(?=\w)", _HEAD + _ACTIONS)
    return "".join(part for part in parts if not part.startswith(f"{place}:")) + line + "\n"


def test_the_job_that_the_others_are_made_of_is_right() -> None:
    assert faults_of(_HEAD + _ACTIONS, strict=True) == []
    assert faults_of(_HEAD + _TEST, strict=True) == []


HEADS = [
    ("job_name", "", "job_name", "required", ""),
    ("job_name", "job_name: ''", "job_name", "must not be empty", ""),
    ("job_name", f"job_name: {'x' * 201}", "job_name", "must not be longer than 200 characters", ""),
    ("job_name", "job_name: 5", "job_name", "must be text, not the number 5", "put it in quotes"),
    ("job_name", "job_name: yes", "job_name", "must be text, not true", "put it in quotes"),
    ("job_name", "job_name: ", "job_name", "must be text, not nothing", ""),
    (
        "device_type",
        "",
        "device_type",
        "device_type or multinode should be defined",
        "name the type of device to run on",
    ),
    ("visibility", "", "visibility", "required", ""),
    (
        "visibility",
        "visibility: publik",
        "visibility",
        "visibility must be public, personal or a group list, not the text 'publik'",
        "write 'visibility: public' or 'visibility: {group: [name]}'",
    ),
    (
        "visibility",
        "visibility: {group: []}",
        "visibility",
        "visibility must be public, personal or a group list, not a mapping",
        "write 'visibility: public' or 'visibility: {group: [name]}'",
    ),
    (
        "priority",
        "priority: 101",
        "priority",
        "priority must be high, medium, low or a number from 0 to 100, not the number 101",
        "",
    ),
    (
        "priority",
        "priority: true",
        "priority",
        "priority must be high, medium, low or a number from 0 to 100, not true",
        "",
    ),
    ("timeouts", "", "timeouts", "required", ""),
    ("timeouts", "timeouts: {action: {minutes: 1}}", "timeouts.job", "required", ""),
    (
        "timeouts",
        "timeouts: {job: 5}",
        "timeouts.job",
        "a timeout is a mapping, not the number 5",
        "write for example {minutes: 5}",
    ),
    (
        "timeouts",
        "timeouts: {job: {minute: 5}}",
        "timeouts.job",
        "unknown unit 'minute'",
        "did you mean 'minutes'?",
    ),
    (
        "timeouts",
        "timeouts: {job: {minutes: '5'}}",
        "timeouts.job",
        "minutes must be a whole number of at least 1, not the text '5'",
        "no quotes, no fraction",
    ),
    (
        "timeouts",
        "timeouts: {job: {minutes: 1.5}}",
        "timeouts.job",
        "minutes must be a whole number of at least 1, not the number 1.5",
        "no quotes, no fraction",
    ),
    (
        "timeouts",
        "timeouts: {job: {days: 99999999999}}",
        "timeouts.job",
        "the time is too long",
        "no job runs for millions of years",
    ),
    (
        "timeouts",
        "timeouts: {job: {minutes: 1}, actions: {a: {minutes: 2}}}",
        "timeouts.actions.a",
        "Global timeout is larger than job timeout (0:02:00 > 0:01:00)",
        "raise timeouts.job or lower this one",
    ),
    (
        "timeouts",
        "timeouts: {job: {minutes: 1}, connection: {hours: 2}}",
        "timeouts.connection",
        "Global timeout is larger than job timeout (2:00:00 > 0:01:00)",
        "raise timeouts.job or lower this one",
    ),
    ("context", "context: [a]", "context", "must be a mapping, not a list", ""),
    (
        "context",
        "context: {archh: arm}",
        "context.archh",
        "no context variable that a job may set",
        "did you mean 'arch'?",
    ),
    ("context", "context: {power_on_command: reboot}", "context.power_on_command", "no context variable", ""),
    ("context", "context: {arch: {a: 1}}", "context", "'arch' must be text, a number or a list of them", ""),
    ("tags", "tags: 5", "tags", "must be a list, not the number 5", ""),
    ("tags", "tags: [a, 5]", "tags[1]", "must be text, not the number 5", "put it in quotes"),
    ("metadata", "metadata: [a]", "metadata", "must be a mapping, not a list", ""),
    ("prioriti", "prioriti: 5", "prioriti", "unknown key", "did you mean 'priority'?"),
    ("document", "document: {}", "document", "unknown key", ""),
    (
        "notify",
        "notify: {criteria: {status: done}}",
        "notify.criteria.status",
        "the text 'done' is none of the choices",
        "one of: all, canceled, complete, finished, incomplete, running",
    ),
    (
        "notify",
        "notify: {criteria: {status: all}, callback: {url: u}, callbacks: [{url: u}]}",
        "notify",
        "callback and callbacks exclude each other",
        "put all of them into callbacks",
    ),
    (
        "notify",
        "notify: {criteria: {status: all}, recipients: [{to: {method: irk}}]}",
        "notify.recipients[0].to.method",
        "the text 'irk' is none of the choices",
        "did you mean 'irc'?",
    ),
    ("actions", "", "actions", "required", "a list of deploy, boot and test blocks"),
    ("actions", "actions: []", "actions", "must be a list with at least one action", ""),
    ("actions", "actions: {}", "actions", "must be a list with at least one action, not a mapping", ""),
    (
        "actions",
        "actions: [deploy]",
        "actions[0]",
        "an action is a mapping with exactly one key",
        "one of: deploy, boot, test, command",
    ),
    ("actions", "actions: [{boot: {}, test: {}}]", "actions[0]", "an action is a mapping with exactly one key", ""),
    ("actions", "actions: [{tset: {}}]", "actions[0].tset", "unknown kind of action", "did you mean 'test'?"),
    ("actions", "actions: [{boot: [a]}]", "actions[0].boot", "must be a mapping, not a list", ""),
    (
        "actions",
        "actions: [{repeat: {count: 2, actions: []}}]",
        "actions[0].repeat",
        "repeat blocks are no longer supported",
        "write the blocks out, or use the key 'repeat: N' inside one block",
    ),
    (
        "actions",
        "actions: [{command: deploy_image, parameters: {}}]",
        "",
        "JSON (V1) jobs are not supported: a V2 job definition in YAML is expected",
        "",
    ),
]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("place", "line", "path", "message", "hint"), HEADS)
def test_faults_of_the_head(place: str, line: str, path: str, message: str, hint: str, strict: bool) -> None:
    """R3, R4: jobs of V1 are refused as such; each fault has its field."""
    faults = faults_of(changed(place, line), strict=strict)
    assert [fault.place for fault in faults] == [path]
    assert faults[0].message.startswith(message)
    assert hint in faults[0].hint
    assert faults[0].severity is Severity.ERROR
    assert (faults[0].line, faults[0].column) >= (1, 1)


@pytest.mark.parametrize("key", ["compatibility", "target", "dispatcher", "env_dut", "x-anchors", ".anchors"])
def test_a_top_level_key_without_meaning(key: str) -> None:
    job = changed(key, f"{key}: 5")
    assert faults_of(job) == []
    assert [(fault.place, fault.message) for fault in faults_of(job, strict=True)] == [(key, "unknown key")]


def test_a_job_for_nothing_but_a_test() -> None:
    assert faults_of(_HEAD + _TEST.replace("definitions:", "timeout: {}\n    definitions:")) == []


def test_the_strict_reading_takes_one_unit_of_at_least_one() -> None:
    for value, message in [
        ("{minutes: 1, seconds: 5}", "exactly one unit is needed"),
        ("{}", "exactly one unit is needed"),
        ("{minutes: 0}", "minutes must be a whole number of at least 1, not the number 0"),
        ("{minutes: 1, unit: 5}", "unknown unit 'unit'"),
    ]:
        job = changed("timeouts", f"timeouts: {{job: {{hours: 2}}, action: {value}}}")
        assert faults_of(job) == []
        assert [(fault.place, fault.message) for fault in faults_of(job, strict=True)] == [("timeouts.action", message)]


class TestRulesAcrossBlocks:
    def test_a_namespace_everywhere_or_nowhere(self) -> None:
        job = _HEAD + _ACTIONS + "- boot: {method: minimal, namespace: host}\n"
        faults = faults_of(job)
        assert [(f.place, f.message, f.line) for f in faults] == [
            ("actions[0].deploy.namespace", "every action should have a namespace", 7)
        ]

    def test_names_of_tests_are_unique_within_a_namespace(self) -> None:
        definition = "{from: git, name: smoke, path: a.yaml, repository: 'http://x/y.git'}"
        job = _HEAD + _TEST + f"    - {definition}\n"
        (fault,) = faults_of(job)
        assert (fault.place, fault.line) == ("actions[0].test.definitions[1].name", 10)
        assert fault.message == "'smoke' is used twice"
        apart = "".join(f"- test: {{namespace: {name}, definitions: [{definition}]}}\n" for name in "ab")
        assert faults_of(f"{_HEAD}actions:\n{apart}") == []

    def test_all_faults_come_at_once_in_the_order_of_the_text(self) -> None:
        faults = faults_of("""\
            job_nam: x
            visibility: secret
            timeouts: {job: {minutes: 1}}
            actions:
            - deploy: {to: tmpfs, images: {a: {url: 5}}}
            - boot: {method: nothing}
            - test: {}
            context: {nope: 1}
            """)
        assert [(fault.place, fault.line) for fault in faults] == [
            ("job_nam", 1),
            ("job_name", 1),
            ("device_type", 1),
            ("visibility", 2),
            ("actions[0].deploy.images.a.url", 5),
            ("actions[1].boot.method", 6),
            ("actions[2].test", 7),
            ("context.nope", 8),
        ]


class TestMultiNode:
    def job(self, roles: str, action: str = "{to: overlay, role: [a, b]}", more: str = "") -> str:
        head = _HEAD.replace("device_type: qemu\n", more)
        return f"{head}protocols:\n  lava-multinode:\n    roles:\n      {roles}\nactions:\n- deploy: {action}\n"

    def test_a_good_one(self) -> None:
        text = self.job("{a: {device_type: q, count: 1}, b: {device_type: q, count: 0, essential: true}}")
        assert faults_of(text, strict=True) == []
        assert parse_job_text(text).is_multinode

    @pytest.mark.parametrize(
        ("roles", "path", "message"),
        [
            ("{a: {count: 1}}", "a", "a role has either device_type or connection"),
            ("{a: {device_type: q}}", "a.count", "required"),
            ("{a: {device_type: q, count: 1, essential: 'yes'}}", "a.essential", "must be true or false"),
            ("{a: {device_type: [q], count: 1}}", "a.device_type", "must be text, not a list"),
            ("{a: {device_type: q, count: 1, expect_role: a}}", "a.expect_role", "a role cannot wait for itself"),
            ("{a: {device_type: q, count: -1}}", "a.count", "must be at least 0, not the number -1"),
            ("{a: {device_type: q, count: 2, device: d}}", "a.count", "a role with a device has 'count: 1'"),
            ("{a: {device_type: q, count: 1, expect_role: b}}", "a.expect_role", "no role is called 'b'"),
            ("{a: {device_type: q, count: 1, context: {x: 1}}}", "a.context.x", "no context variable"),
            ("{a: 5}", "a", "must be a mapping, not the number 5"),
            (
                "{a: {device_type: q, count: 2}, b: {connection: ssh, count: 1, host_role: a, expect_role: a}}",
                "b.host_role",
                "the role that is the host must have 'count: 1'",
            ),
            (
                "{a: {device_type: q, count: 1}, b: {connection: ssh, count: 1, host_role: a}}",
                "b.expect_role",
                "required in a connection role",
            ),
            (
                "{a: {device_type: q, count: 1},"
                " b: {connection: ssh, count: 1, host_role: a, expect_role: a, worker: w}}",
                "b.worker",
                "not allowed in a connection role",
            ),
        ],
    )
    def test_faults_of_a_role(self, roles: str, path: str, message: str) -> None:
        (fault,) = faults_of(self.job(roles))
        assert fault.place == f"protocols.lava-multinode.roles.{path}"
        assert fault.message.startswith(message)
        assert fault.line == 8

    @pytest.mark.parametrize("key", ["device_type: q", "environment: {a: b}", "context: {arch: arm}", "tags: [a]"])
    def test_what_belongs_into_the_roles(self, key: str) -> None:
        (fault,) = faults_of(self.job("{a: {device_type: q, count: 1}}", more=f"{key}\n"))
        assert (fault.place, fault.hint) == (key.partition(":")[0], "put it into the roles")

    def test_every_action_has_a_role(self) -> None:
        (fault,) = faults_of(self.job("{a: {device_type: q, count: 1}}", "{to: overlay}"))
        assert fault.place == "actions[0].deploy.role"

    def test_keys_of_one_that_was_split_are_named_by_the_strict_reading(self) -> None:
        text = self.job("{a: {device_type: q, count: 1, counts: 2}}\n    target_group: x")
        assert faults_of(text) == []
        assert [(fault.place, fault.hint[:25]) for fault in faults_of(text, strict=True)] == [
            ("protocols.lava-multinode.roles.a.counts", "did you mean 'count'?"),
            ("protocols.lava-multinode.target_group", "the server adds it when i"),
        ]

    def test_a_node_of_one_is_accepted(self) -> None:
        text = _HEAD + "protocols:\n  lava-multinode: {role: a, roles: {1.0: a}, group_size: 1, sub_id: 0}\n" + _ACTIONS
        assert faults_of(text) == []
        assert not parse_job_text(text).is_multinode


#: what people write by mistake, and what nobody writes
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "a/b",
    "a b",
    [],
    [None],
    ["x"],
    [[]],
    {},
    {"x": 1},
    {None: []},
    {1: {}},
]


def _with(value: Any, path: Sequence[Any], odd: Any) -> Any:
    """Return the document with one value replaced."""
    if not path:
        return odd
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = _with(value[path[0]], path[1:], odd)
    return changed


_WHOLE = """
job_name: a
visibility: {group: [g]}
timeouts: {job: {minutes: 10}, actions: {a: {minutes: 1}}}
context: {arch: arm, extra_options: [a]}
notify: {criteria: {status: all}, recipients: [{to: {method: email}}], callbacks: [{url: u}]}
protocols:
  lava-multinode:
    roles:
      a: {device_type: q, count: 1, context: {arch: arm}, tags: [t]}
      b: {connection: ssh, count: 1, host_role: a, expect_role: a}
actions:
- deploy: {role: [a], to: tmpfs, images: {a: {url: u, overlays: {x: {url: v, format: tar, path: /b}}}}}
- deploy: {role: [a], to: docker, image: {name: 'debian'}}
- boot: {role: a, method: qemu, docker: {image: debian}, auto_login: {login_prompt: l, username: r}}
- test:
    role: a
    definitions:
    - from: inline
      name: b
      path: c
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: d}
        install: {deps: [a], git-repos: [{url: u}]}
        run: {steps: [a]}
        parse: {pattern: a, fixupdict: {A: pass}}
- test: {role: a, interactive: [{name: a, prompts: ['='], script: [{command: a, successes: [{message: m}]}]}]}
- test: {role: a, monitors: [{name: a, start: b, end: c, pattern: d}]}
- test: {role: a, services: [{name: a, from: git, repository: b, path: c}]}
- command: {role: a, name: b}
"""


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_whatever_stands_where_it_must_not_is_read_or_a_fault(odd: Any, strict: bool) -> None:
    whole, refused = yaml.safe_load(_WHOLE), 0
    for path in _places(whole):
        try:
            parse_job(_with(whole, path, odd), strict=strict)
        except SubmissionError as error:
            refused += len(error.faults)
    assert refused > 0


@given(st.sampled_from(list(_places(yaml.safe_load(_WHOLE)))), st.sampled_from(ODD))
@settings(max_examples=50, deadline=None)
def test_every_fault_has_a_place_in_the_text(path: tuple[Any, ...], odd: Any) -> None:
    text = yaml.safe_dump(_with(yaml.safe_load(_WHOLE), path, odd))
    for fault in faults_of(text):
        assert 1 <= fault.line <= len(text.splitlines())
        assert fault.column >= 1


class TestWhatIsRead:
    def read(self, place: str, line: str) -> JobDefinition:
        return parse_job_text(changed(place, line))

    @pytest.mark.parametrize(
        ("line", "number"), [("", 50), ("priority: HIGH", 100), ("priority: low", 0), ("priority: 7", 7)]
    )
    def test_priority(self, line: str, number: int) -> None:
        assert self.read("priority", line).priority == number

    @pytest.mark.parametrize(
        ("line", "seconds"),
        [("{minutes: 1, seconds: 5}", 65), ("{}", 30), ("{minutes: 0}", 30), ("{days: 1, skip: true}", 86400)],
    )
    def test_timeouts_add_up(self, line: str, seconds: int) -> None:
        timeout = self.read("timeouts", f"timeouts: {{job: {line}}}").timeouts.job
        assert timeout.duration.total_seconds() == seconds
        assert timeout.skip is ("skip" in line)

    def test_one_value_is_a_list_of_one(self) -> None:
        job = self.read("actions", "actions: [{boot: {method: minimal, prompts: '#', role: a}}]")
        assert job.blocks[0].role == ("a",)

    def test_an_instance_may_allow_more_context(self) -> None:
        text = changed("context", "context: {power: 5}")
        assert faults_of(text, extra_context=["power"]) == []

    def test_the_document_is_kept_as_it_was(self) -> None:
        document = {"job_name": "a", "device_type": "b", "visibility": "public", "timeouts": {"job": {"minutes": 1}}}
        whole = {**document, "x-any": [1], "actions": [{"command": {"name": "c", "extra": 1}}]}
        assert parse_job(whole).document == whole

    def test_blocks_are_of_their_methods_class(self) -> None:
        assert isinstance(parse_job_text(_HEAD + _ACTIONS).blocks[0], TmpfsDeploy)
        deploy = "deploy: {to: downloads, images: {a: {url: u, md5sum: " + "A" * 32 + "}}}"
        download = self.read("actions", f"actions: [{{{deploy}}}]").blocks[0]
        assert isinstance(download, DownloadsDeploy)
        assert download.images["a"].checksums == {"md5": "a" * 32}
