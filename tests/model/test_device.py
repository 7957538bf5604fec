"""A device configuration: what makes it unusable, and what the rest of the program asks it.  Device conf. 7, 11, 12."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lava.model.device import REQUIRED, TOP_LEVEL, check_device, parse_device
from lava.model.errors import ConfigurationError

DEVICE: dict[str, Any] = {
    "hostname": "board-1",
    "devicetype": "board",
    "constants": {"posix": {"lava_test_sh_cmd": "/bin/sh"}, "boot_retry": None},
    "parameters": {"pass": None},
    "actions": {
        "deploy": {"methods": {"tftp": None}, "parameters": {"add_header": "u-boot"}},
        "boot": {"methods": {"minimal": None}, "connections": {"serial": None}},
    },
    "timeouts": {"actions": {"power-off": {"seconds": 10}}, "connections": {}},
    "commands": {"connect": "telnet host 7000", "hard_reset": ["off", "on"]},
    "character_delays": {"boot": 10},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    device = copy.deepcopy(DEVICE)
    *parents, last = path.split(".")
    inner = device
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return device


def without(path: str) -> dict[str, Any]:
    device = copy.deepcopy(DEVICE)
    *parents, last = path.split(".")
    inner = device
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return device


class TestCheck:
    def test_a_good_device(self) -> None:
        assert check_device(DEVICE) == []

    @pytest.mark.parametrize("key", list(DEVICE))
    def test_no_key_is_needed(self, key: str) -> None:
        assert check_device(without(key)) == []

    @pytest.mark.parametrize(
        ("path", "value", "fault"),
        [
            ("hostnam", "x", "hostnam: unknown key; did you mean 'hostname'?"),
            ("hostname", 5, "hostname: must be text, not the number 5"),
            ("constants", [], "constants: must be a mapping, not a list"),
            ("device_info", {}, "device_info: must be a list, not a mapping"),
            ("usb_sleep", True, "usb_sleep: must be a number, not true"),
            ("uuu_usb_otg_path", 5, "uuu_usb_otg_path: must be text or a list, not the number 5"),
            ("fastboot_auto_detection", "yes", "fastboot_auto_detection: must be true or false, not the text 'yes'"),
            ("usb_vendor_id", "483", "usb_vendor_id: must be exactly 4 characters; quote it: '0483'"),
            ("timeouts.queue", {}, "timeouts.queue: unknown key; actions or connections"),
            ("timeouts.actions.Power", {"seconds": 1}, "timeouts.actions.Power: no name of an action"),
            ("timeouts.actions.a", {"second": 1}, "timeouts.actions.a: unknown unit 'second'"),
            (
                "timeouts.actions.a",
                {"seconds": 1, "minutes": 1},
                "timeouts.actions.a: exactly one unit is needed",
            ),
            ("timeouts.connections.a", 5, "timeouts.connections.a: a timeout is a mapping, not the number 5"),
            ("commands.hard_reset", 5, "commands.hard_reset: must be a command or a list of them, not the number 5"),
            ("commands.must_use_connection", "yes", "commands.must_use_connection: must be true or false"),
            ("commands.connections", {"uart": {}}, "commands.connections.uart.connect: required"),
            (
                "commands.connections",
                {"uart": {"connect": "a", "tags": None}},
                "commands.connections.uart.tags: must be a list",
            ),
            (
                "actions.deploy.methods",
                {"ssh": {"host": "10.0.0.1"}},
                "commands.hard_reset: a device that is an ssh host cannot be powered",
            ),
        ],
    )
    def test_faults(self, path: str, value: Any, fault: str) -> None:
        assert [str(found) for found in check_device(changed(path, value))] == [fault]

    @pytest.mark.parametrize("methods", [None, {"ssh": None}, {"ssh": {"host": ""}}, {"ssh": {"host": None}}])
    def test_a_device_that_is_no_ssh_host_may_be_powered(self, methods: Any) -> None:
        assert check_device(changed("actions.deploy.methods", methods)) == []

    @pytest.mark.parametrize("document", [None, [], "text", 5])
    def test_what_is_no_mapping(self, document: Any) -> None:
        (fault,) = check_device(document)
        assert fault.message.startswith("the device configuration must be a mapping, not ")

    @pytest.mark.parametrize("key", list(TOP_LEVEL))
    @pytest.mark.parametrize("odd", [None, 5, [1], {"a": 1}, {1: {2: 3}}, "text", [[]]], ids=repr)
    def test_no_value_does_harm(self, key: str, odd: Any) -> None:
        device = changed(key, odd)
        faults = check_device(device)
        assert all(fault.message for fault in faults)
        try:
            parse_device(device)
        except ConfigurationError as error:
            assert key in str(error)  # noqa: PT017


class TestParse:
    @pytest.mark.parametrize("key", REQUIRED)
    def test_what_is_required(self, key: str) -> None:
        with pytest.raises(ConfigurationError, match=f"{key}: required"):
            parse_device(without(key))

    @pytest.mark.parametrize("path", ["actions.deploy.methods", "actions.boot.methods", "actions.boot.connections"])
    def test_what_is_required_of_the_actions(self, path: str) -> None:
        with pytest.raises(ConfigurationError, match=f"^invalid device configuration: {path}: required$"):
            parse_device(without(path))

    def test_all_faults_come_at_once(self) -> None:
        device = changed("timeouts.actions.a", 5) | {"hostname": 5, "parameters": []}
        with pytest.raises(ConfigurationError) as refused:
            parse_device(device)
        assert [part.split(":")[0] for part in str(refused.value).partition(": ")[2].split("; ")] == [
            "hostname",
            "parameters",
            "timeouts.actions.a",
        ]

    def test_unknown_keys_are_left_alone(self) -> None:
        assert parse_device(changed("labs_own", 1)).get("labs_own") == 1

    @pytest.mark.parametrize("document", [None, {}, []])
    def test_nothing(self, document: Any) -> None:
        with pytest.raises(ConfigurationError, match="empty: has the device a dictionary"):
            parse_device(document)


class TestQuestions:
    def test_names(self) -> None:
        device = parse_device(DEVICE)
        assert (device.hostname, device.device_type) == ("board-1", "board")
        assert parse_device(without("hostname")).hostname == ""

    def test_methods(self) -> None:
        device = parse_device(DEVICE)
        assert (device.deploy_methods, device.boot_methods) == ({"tftp": None}, {"minimal": None})
        assert device.deploy_parameters == {"add_header": "u-boot"}
        assert parse_device(changed("actions.deploy.methods", None)).deploy_methods == {}

    def test_timeouts_of_several_units_add_up(self) -> None:
        device = parse_device(changed("timeouts.actions.a", {"minutes": 1, "seconds": 5, "skip": True}))
        assert device.action_timeouts["a"].duration.total_seconds() == 65
        assert device.action_timeouts["power-off"].duration.total_seconds() == 10
        assert parse_device(changed("timeouts.actions.a", {"seconds": 0})).action_timeouts[
            "a"
        ].duration.total_seconds() == pytest.approx(30)

    @pytest.mark.parametrize(
        ("value", "lines"),
        [("one two", ("one two",)), (["a", "b"], ("a", "b")), (None, ()), ("", ()), ([], ())],
    )
    def test_commands(self, value: Any, lines: tuple[str, ...]) -> None:
        assert parse_device(changed("commands.hard_reset", value)).command("hard_reset") == lines

    def test_there_may_be_no_commands(self) -> None:
        device = parse_device(without("commands"))
        assert (device.command("hard_reset"), device.primary_port, device.ports) == ((), None, {})

    def test_the_primary_port(self) -> None:
        ports = {
            "uart1": {"connect": "telnet a 1", "tags": ["telnet"]},
            "uart0": {"connect": "telnet a 0", "tags": ["primary", "telnet"]},
        }
        device = parse_device(changed("commands", {"connections": ports}))
        assert device.primary_port == device.ports["uart0"]
        assert device.ports["uart1"].tags == ("telnet",)
        both = parse_device(changed("commands.connections", ports)).primary_port
        assert both is not None
        assert both.command == "telnet host 7000"

    def test_constants(self) -> None:
        device = parse_device(DEVICE)
        assert device.constant("posix", "lava_test_sh_cmd") == "/bin/sh"
        assert device.constant("boot_retry", default=1) == 1  # null is as good as absent
        with pytest.raises(ConfigurationError, match=r"board-1 has no constant 'posix\.nothing'"):
            device.constant("posix", "nothing")

    def test_character_delays(self) -> None:
        device = parse_device(DEVICE)
        assert (device.character_delay("boot"), device.character_delay("test")) == (10, 0)

    def test_a_path_through_what_is_no_mapping(self) -> None:
        assert parse_device(DEVICE).get("hostname", "deeper") is None
