"""The shipped templates: what a virtual machine gets for its settings, and what every device has.  Dev. conf. 5-12."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.devices import SHIPPED, Templates
from lava.model.device import check_device, parse_device

TYPES = sorted(path.name for path in SHIPPED.glob("*.jinja2") if not path.name.startswith("base"))


def render(directory: Path, dictionary: str = "", *, template: str = "qemu", **context: Any) -> dict[str, Any]:
    (directory / "vm.jinja2").write_text(f"{{% extends '{template}.jinja2' %}}\n{dictionary}")
    text = Templates(directory, [SHIPPED]).render("vm.jinja2", hostname="vm", device_type=template, context=context)
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def qemu(document: dict[str, Any]) -> dict[str, Any]:
    parameters = document["actions"]["boot"]["methods"]["qemu"]["parameters"]
    assert isinstance(parameters, dict)
    return parameters


@pytest.mark.parametrize("name", TYPES)
def test_every_template_gives_a_device_that_is_usable(tmp_path: Path, name: str) -> None:
    document = render(tmp_path, template=name.removesuffix(".jinja2"))
    assert check_device(document) == []
    assert parse_device(document).hostname == "vm"


COMMON = ["-nographic", "-net nic,model=virtio,macaddr=52:54:00:12:34:58 -net user", "-m 512", "-monitor none"]


@pytest.mark.parametrize(
    ("context", "command", "options"),
    [
        ({}, "qemu-system-x86_64", ["-cpu host", "-enable-kvm", *COMMON]),
        ({"arch": "amd64"}, "qemu-system-x86_64", ["-cpu host", "-enable-kvm", *COMMON]),
        ({"arch": "amd64", "no_kvm": True}, "qemu-system-x86_64", COMMON),
        ({"arch": "amd64", "cpu": "max", "no_kvm": True}, "qemu-system-x86_64", ["-cpu max", *COMMON]),
        ({"arch": "arm64"}, "qemu-system-aarch64", ["-cpu cortex-a57", "-machine virt", *COMMON]),
        ({"arch": "aarch64", "cpu": "max"}, "qemu-system-aarch64", ["-cpu max", "-machine virt", *COMMON]),
        ({"arch": "arm"}, "qemu-system-arm", ["-cpu cortex-a15", "-machine virt", *COMMON]),
        ({"arch": "arm64", "machine": "virt,gic-version=3"}, "qemu-system-aarch64", None),
        ({"arch": "riscv64", "no_kvm": True}, "qemu-system-riscv64", ["-cpu rv64", "-machine virt", *COMMON]),
        ({"arch": "i386", "no_kvm": True}, "qemu-system-i386", ["-cpu core2duo", "-machine pc", *COMMON]),
        ({"arch": "mips64", "no_kvm": True}, "qemu-system-mips64", ["-machine malta", *COMMON]),
        ({"arch": "strange", "no_kvm": True}, "qemu-system-strange", COMMON),
    ],
)
def test_the_machine_of_an_architecture(
    tmp_path: Path, context: dict[str, Any], command: str, options: list[str] | None
) -> None:
    document = render(tmp_path, **context)
    assert qemu(document)["command"] == command
    if options is not None:
        assert qemu(document)["options"] == options
    nfs = document["actions"]["boot"]["methods"]["qemu-nfs"]["parameters"]
    assert (nfs["command"], nfs["options"]) == (command, qemu(document)["options"])


@pytest.mark.parametrize(
    ("context", "option"),
    [
        ({"memory": 2048}, "-m 2048"),
        ({"memory": "2G"}, "-m 2G"),
        ({"monitor": "stdio"}, "-monitor stdio"),
        ({"machine": "virt,secure=on"}, "-machine virt,secure=on"),
        ({"no_network": True}, "-net none"),
        ({"no_network": "yes"}, "-net nic,model=virtio,macaddr=52:54:00:12:34:58 -net user"),  # exactly true
        ({"model": "model=e1000"}, "-net nic,model=e1000,macaddr=52:54:00:12:34:58 -net user"),
        ({"netdevice": "tap"}, "-net nic,model=virtio,macaddr=52:54:00:12:34:58 -net tap"),
        ({"vga": "-vga std"}, "-vga std"),
        ({"serial": "-serial mon:stdio"}, "-serial mon:stdio"),
    ],
)
def test_what_a_job_may_set(tmp_path: Path, context: dict[str, Any], option: str) -> None:
    assert option in qemu(render(tmp_path, arch="arm64", **context))["options"]


def test_what_an_admin_sets_without_a_default_no_job_changes(tmp_path: Path) -> None:
    dictionary = (
        "{% set memory = 256 %}{% set machine = machine|default('q35') %}{% set mac_addr = '52:54:00:00:00:01' %}"
    )
    options = qemu(render(tmp_path, dictionary, arch="amd64", memory=9999, machine="pc"))["options"]
    assert "-m 256" in options
    assert "-machine pc" in options
    assert any("macaddr=52:54:00:00:00:01" in option for option in options)


@pytest.mark.parametrize(
    ("arch", "root", "console", "interface"),
    [("arm64", "/dev/vda2", "ttyAMA0 115200", "virtio"), ("amd64", "/dev/sda1", "ttyS0,115200", "ide")],
)
def test_boot_options_and_the_tests_disk(tmp_path: Path, arch: str, root: str, console: str, interface: str) -> None:
    document = render(tmp_path, arch=arch)
    assert qemu(document)["boot_options"] == {"root": root, "console": console, "boot_order": "c"}
    guest = document["actions"]["deploy"]["methods"]["image"]["parameters"]["guest"]
    assert guest == {"size": 512, "driveid": "lavatest", "interface": interface}


@pytest.mark.parametrize("extra", [["-smp", "2"], ["a: b", "c\"d'", "e #f"], []])
def test_extra_options_come_through_as_they_are(tmp_path: Path, extra: list[str]) -> None:
    assert qemu(render(tmp_path, arch="arm64", extra_options=extra))["extra"] == extra


class TestAnyDevice:
    def test_who_it_is(self, tmp_path: Path) -> None:
        document = render(tmp_path, scheduled_device_name="x", scheduled_device_type="y")
        assert (document["hostname"], document["devicetype"]) == ("vm", "qemu")

    def test_without_a_connection_there_are_no_commands(self, tmp_path: Path) -> None:
        assert "commands" not in render(tmp_path, "{% set hard_reset_command = 'reset' %}")

    def test_commands(self, tmp_path: Path) -> None:
        dictionary = """\
{% set connection_command = 'telnet "host" 7000' %}
{% set connection_list = ['ignored'] %}
{% set hard_reset_command = ['off', 'sleep 5', "on: 'x'"] %}
{% set power_on_command = 'on' %}
{% set user_commands = {'usb': {'do': 'a', 'undo': ['b', 'c']}} %}
"""
        document = render(tmp_path, dictionary)
        assert document["commands"] == {
            "connect": 'telnet "host" 7000',
            "hard_reset": ["off", "sleep 5", "on: 'x'"],
            "power_on": "on",
            "users": {"usb": {"do": "a", "undo": ["b", "c"]}},
        }
        assert check_device(document) == []

    def test_named_ports(self, tmp_path: Path) -> None:
        dictionary = """\
{% set connection_list = ['uart0', 'uart1'] %}
{% set connection_commands = {'uart0': 'telnet a 1', 'uart1': 'telnet a 2'} %}
{% set connection_tags = {'uart0': ['primary', 'telnet']} %}
"""
        document = render(tmp_path, dictionary)
        assert document["commands"]["connections"] == {
            "uart0": {"connect": "telnet a 1", "tags": ["primary", "telnet"]},
            "uart1": {"connect": "telnet a 2"},
        }
        assert check_device(document) == []
        device = parse_device(document)
        assert device.primary_port == device.ports["uart0"]

    def test_tags_that_are_a_text_make_the_device_invalid(self, tmp_path: Path) -> None:
        dictionary = """\
{% set connection_list = ['uart0'] %}
{% set connection_commands = {'uart0': 'telnet a 1'} %}
{% set connection_tags = {'uart0': 'primary'} %}
"""
        (fault,) = check_device(render(tmp_path, dictionary))
        assert fault.place == "commands.connections.uart0.tags"

    def test_what_is_only_there_when_it_is_set(self, tmp_path: Path) -> None:
        plain = render(tmp_path)
        for key in ("character_delays", "device_info", "static_info", "storage_info", "environment"):
            assert key not in plain
        dictionary = """\
{% set device_info = [{'board_id': '0239', 'usb_vendor_id': '0483'}] %}
{% set static_info = [{'KEY': 'a: b'}] %}
{% set environment = {'A': 'yes'} %}
{% set boot_character_delay = 20 %}
"""
        document = render(tmp_path, dictionary, test_character_delay=5)
        assert document["device_info"] == [{"board_id": "0239", "usb_vendor_id": "0483"}]  # no number loses its zero
        assert document["static_info"] == [{"KEY": "a: b"}]
        assert document["environment"] == {"A": "yes"}
        assert document["character_delays"] == {"boot": 20, "test": 5}

    def test_constants(self, tmp_path: Path) -> None:
        constants = render(tmp_path)["constants"]
        assert constants["posix"] == {
            "lava_test_sh_cmd": "/bin/sh",
            "lava_test_results_dir": "/lava-%s",
            "lava_test_shell_file": "~/.bashrc",
        }
        assert constants["kernel-start-message"] == "Linux version [0-9]"
        assert constants["default-shell-prompt"] == "lava-test: # "
        assert constants["barebox"]["interrupt-character"] == " "
        assert (constants["failure_retry"], constants["boot_retry"]) == (1, None)
        assert constants["spawn_maxread"] == "4092"
        changed = render(tmp_path, kernel_start_message="", failure_retry=3, boot_retry=2)["constants"]
        assert (changed["kernel-start-message"], changed["failure_retry"], changed["boot_retry"]) == ("", 3, 2)

    @pytest.mark.parametrize(
        ("kind", "name", "timeout"),
        [
            ("actions", "http-download", {"minutes": 5}),
            ("actions", "lava-test-shell", {"minutes": 3}),
            ("actions", "power-off", {"seconds": 10}),
            ("actions", "download-retry", {"minutes": 15}),
            ("actions", "boot-qemu-image", {"minutes": 2}),
            ("connections", "lava-test-shell", {"seconds": 10}),
            ("connections", "auto-login-action", {"minutes": 2}),
        ],
    )
    def test_timeouts(self, tmp_path: Path, kind: str, name: str, timeout: dict[str, int]) -> None:
        assert render(tmp_path)["timeouts"][kind][name] == timeout

    def test_a_timeout_can_be_set(self, tmp_path: Path) -> None:
        dictionary = "{% set action_timeout_power_off = 77 %}{% set connection_timeout_feedback = 3 %}"
        timeouts = render(tmp_path, dictionary)["timeouts"]
        assert timeouts["actions"]["power-off"] == {"seconds": 77}
        assert timeouts["connections"]["lava-docker-test-shell"] == {"seconds": 3}

    def test_addresses_stay_text(self, tmp_path: Path) -> None:
        parameters = render(tmp_path, booti_kernel_addr="0x80080000", booti_dtb_addr="0x83000000")["parameters"]
        assert parameters["booti"]["kernel"] == "0x80080000"
        assert parameters["image"]["dtb"] == "0x83000000"
        assert "bootm" not in parameters

    def test_a_block_can_be_replaced(self, tmp_path: Path) -> None:
        document = render(tmp_path, "{% block timeouts %}\ntimeouts:\n  actions:\n  connections:\n{% endblock %}\n")
        assert document["timeouts"] == {"actions": None, "connections": None}
        assert parse_device(document).action_timeouts == {}
