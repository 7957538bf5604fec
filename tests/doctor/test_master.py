"""The access of V1 workers on the master, and its lab.  Source: R75, R79, R120, R169 to R182."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava.doctor.master.hba import is_own, remote_rules
from lava.doctor.master.keys import parse_keys
from lava.doctor.master.postgres import listens_elsewhere

from .conftest import Doctor
from .trees import DEFAULT_HBA, NOW, V1_COMMENT, V1_KEY, CleanMaster, Tree, V1Master

Obey = Callable[[Tree, list[str]], list[str]]
V2_ONLY = {"workers": [{"name": "worker1", "v1": False}, {"name": "worker2", "v1": False}]}
SETTINGS = "/etc/postgresql/9.4/main/postgresql.conf"
RULES = "/etc/postgresql/9.4/main/pg_hba.conf"
KEYS = "/var/lib/lava-server/home/.ssh/authorized_keys"


@pytest.fixture
def master(tmp_path: Path) -> V1Master:
    return V1Master(tmp_path / "root")


@pytest.fixture
def clean(tmp_path: Path) -> CleanMaster:
    return CleanMaster(tmp_path / "clean")


def texts(step: dict[str, Any]) -> str:
    return "\n".join(finding["text"] for finding in step["findings"])


def test_a_clean_master_is_all_ok_without_a_list(doctor: Doctor, clean: CleanMaster) -> None:
    said = doctor("master", clean, "--json")
    assert set(said.states().values()) <= {"ok", "nothing to do"}
    assert said.status == 0


@pytest.mark.parametrize(
    ("lab", "state", "word"),
    [
        ({"workers": [{"name": "a", "v1": False}, {"name": "b", "v1": True}]}, "open", "worker b still runs V1"),
        ({"workers": [{"name": "a", "v1": False}, {"name": "b"}]}, "cannot tell", "Not known of: b"),
        (None, "cannot tell", "has V1 been taken from every worker?"),
    ],
    ids=["one-has-v1", "one-unknown", "no-list"],
)
def test_r169_all_workers_first(doctor: Doctor, master: V1Master, lab: Any, state: str, word: str) -> None:
    said = doctor("master", master, "--json", lab=lab)
    assert said.states()["M0"] == state
    assert word in said.found("M0")
    assert {said.states()[name] for name in ("M1", "M2", "M3", "M4")} == {"blocked by M0"}
    assert [said.steps[name]["commands"] for name in ("M1", "M2", "M3", "M4")] == [[], [], [], []]
    assert said.status == 1


def test_r169_an_admin_may_confirm(doctor: Doctor, master: V1Master) -> None:
    assert doctor("master", master, "--json", "--confirm", "M0").states()["M1"] == "open"
    v1 = {"workers": [{"name": "b", "v1": True}]}
    assert doctor("master", master, "--json", "--confirm", "M0", lab=v1).states()["M0"] == "open", "against the list"


def test_r169_a_remote_worker_is_no_master(doctor: Doctor, master: V1Master) -> None:
    master.write("/etc/lava-server/worker.conf", "")
    said = doctor("master", master, "--json", lab=V2_ONLY)
    assert (said.states()["M0"], said.states()["M2"]) == ("open", "blocked by M0")


def test_r170_the_reason_stands_above(doctor: Doctor, master: V1Master) -> None:
    head = doctor("master", master).out.split("\nM0 ")[0]
    assert "V1 needed read and write access to the database from every worker, and the SSHFS mount" in head
    assert "The master's own worker stays as it is" in head, "R171"


def all_changed(tree: CleanMaster) -> None:
    tree.write(
        "/etc/lava-server/instance.conf",
        'LAVA_SYS_USER="lab"\nLAVA_DB_USER="labuser"\nLAVA_DB_NAME="labdb"\nLAVA_PREFIX="/srv/lab"\n',
    )
    tree.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nlab:x:7:7::/home/lab:/bin/sh\n")


def test_r172_r174_names_come_from_instance_conf(doctor: Doctor, master: V1Master) -> None:
    all_changed(master)
    file = master.keys(f"ssh-rsa {V1_KEY} {V1_COMMENT}\n", home="/home/lab")
    master.write(RULES, "host labdb labuser 10.0.0.0/8 md5\nhost lavaserver lavaserver 10.0.0.0/8 md5\n")
    said = doctor("master", master, "--json", lab=V2_ONLY)
    assert said.steps["M1"]["commands"][0] == "sudo su lab"
    assert said.steps["M1"]["findings"][0]["file"] == "/" + str(file.relative_to(master.root))
    rules = said.steps["M3"]["findings"]
    assert rules[0]["text"].startswith("lets 10.0.0.0/8 into labdb as LAVA's user labuser: ")
    assert rules[1]["text"].startswith("not about labdb, left alone: ")


def test_r172_a_user_without_an_entry_has_the_home_of_the_prefix(doctor: Doctor, master: V1Master) -> None:
    all_changed(master)
    master.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    master.keys(f"ssh-rsa {V1_KEY} {V1_COMMENT}\n", home="/srv/lab/home")
    step = doctor("master", master, "--json", lab=V2_ONLY).steps["M1"]
    assert step["findings"][0]["file"] == "/srv/lab/home/.ssh/authorized_keys"


def test_r172_guesses_are_marked(doctor: Doctor, master: V1Master) -> None:
    master.remove("/etc/lava-server/instance.conf")
    said = doctor("master", master, "--json", lab=V2_ONLY)
    guess = "lavaserver (a guess: /etc/lava-server/instance.conf does not say)"
    assert guess in said.found("M1")
    assert guess in said.found("M3")


AUTHORIZED = f"""\
# {V1_COMMENT}
ssh-rsa {V1_KEY} {V1_COMMENT}

ssh-rsa AAAAB3NzaC1yc2EA admin@desk
from="10.0.0.*",no-pty,command="internal-sftp" ssh-rsa {V1_KEY} {V1_COMMENT}
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 not an {V1_COMMENT}
"""


def test_r174_r175_exactly_the_keys_of_v1_go(doctor: Doctor, master: V1Master, obey: Obey) -> None:
    file = master.keys(AUTHORIZED)
    step = doctor("master", master, "--json", lab=V2_ONLY).steps["M1"]
    ours = [finding for finding in step["findings"] if "V1 worker" in finding["text"]]
    others = [finding for finding in step["findings"] if "not from LAVA, left alone" in finding["text"]]
    assert [finding["line"] for finding in ours] == [2, 5]
    assert [finding["line"] for finding in others] == [4, 6]
    assert all(finding["value"].startswith("SHA256:") for finding in step["findings"])
    assert (step["commands"][0], step["commands"][-1]) == ("sudo su lavaserver", "exit")
    assert obey(master, step["commands"]) == ["sudo su lavaserver", "exit"]
    lines = AUTHORIZED.splitlines(keepends=True)
    assert file.read_text() == "".join(line for number, line in enumerate(lines, 1) if number not in (2, 5))
    assert Path(f"{file}.2016-11-25").read_text() == AUTHORIZED
    assert doctor("master", master, "--json", lab=V2_ONLY).states()["M1"] == "ok"
    left = file.read_text()
    obey(master, step["commands"])  # by mistake
    assert file.read_text() == left
    assert Path(f"{file}.2016-11-25").read_text() == AUTHORIZED


def test_a_fingerprint_is_what_ssh_keygen_prints() -> None:
    """The key of a host of the documentation of OpenSSH, with ssh-keygen -lf."""
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    assert [(key.line, key.fingerprint, key.comment) for key in parse_keys(f"\nssh-ed25519 {key} github.com\n")] == [
        (2, "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", "github.com")
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("listen_addresses = '*'\n", 1),
        ("listen_addresses='0.0.0.0'\n", 1),
        ("listen_addresses '::'\n", 1),
        ("\nListen_Addresses = 'localhost,192.168.1.5'  # lab\n", 2),
        ("listen_addresses = 'localhost'\nlisten_addresses = '*'\n", 2),
        ("listen_addresses = '*'\nlisten_addresses = 'localhost'\n", 0),
        ("#listen_addresses = '*'\n", 0),
        ("", 0),
        ("listen_addresses = 'localhost'\n", 0),
        ("listen_addresses = '127.0.0.1, ::1'\n", 0),
        ("listen_addresses = ''\n", 0),
        ("port = 5432  # listen_addresses = '*'\nfoo = 'listen_addresses = ''*'''\n", 0),
    ],
)
def test_r176_r177_the_last_assignment_wins(
    doctor: Doctor, clean: CleanMaster, obey: Obey, text: str, line: int
) -> None:
    clean.configure("9.4", text)
    step = doctor("master", clean, "--json", lab=V2_ONLY).steps["M2"]
    if not line:
        assert (step["state"], step["findings"]) == ("ok", [])
        return
    assert step["state"] == "open"
    assert (step["findings"][0]["file"], step["findings"][0]["line"]) == (SETTINGS, line)
    assert obey(clean, step["commands"]) == []
    assert doctor("master", clean, "--json", lab=V2_ONLY).states()["M2"] == "ok"
    assert clean.path(f"{SETTINGS}.2016-11-25").read_text() == text


def test_r176_every_cluster_is_looked_at(doctor: Doctor, clean: CleanMaster) -> None:
    clean.configure("9.1", "listen_addresses = '*'\n")
    clean.write("/etc/postgresql/9.6/second/postgresql.conf", "listen_addresses = '*'\n")
    files = [finding["file"] for finding in doctor("master", clean, "--json", lab=V2_ONLY).steps["M2"]["findings"]]
    assert files == ["/etc/postgresql/9.1/main/postgresql.conf", "/etc/postgresql/9.6/second/postgresql.conf"]


def test_r177_includes_are_followed_and_reported(doctor: Doctor, clean: CleanMaster) -> None:
    clean.configure("9.4", "listen_addresses = 'localhost'\ninclude_dir 'conf.d'\ninclude_if_exists = 'no.conf'\n")
    step = doctor("master", clean, "--json", lab=V2_ONLY).steps["M2"]
    assert (step["state"], texts(step)) == ("ok", "include_dir conf.d\ninclude_if_exists no.conf")
    clean.write("/etc/postgresql/9.4/main/conf.d/lab.conf", "listen_addresses = '*'\n")
    clean.write("/etc/postgresql/9.4/main/conf.d/lab.conf.bak", "listen_addresses = 'other'\n")
    step = doctor("master", clean, "--json", lab=V2_ONLY).steps["M2"]
    assert step["findings"][0]["file"] == "/etc/postgresql/9.4/main/conf.d/lab.conf"


def test_r177_alter_system_wins_over_the_file(doctor: Doctor, clean: CleanMaster) -> None:
    clean.configure("9.4", "data_directory = '/srv/pg'\nlisten_addresses = 'localhost'\n")
    clean.write("/srv/pg/postgresql.auto.conf", "listen_addresses = '*'\n")
    step = doctor("master", clean, "--json", lab=V2_ONLY).steps["M2"]
    assert step["commands"] == [
        "sudo su postgres -c 'psql --command='\"'\"'ALTER SYSTEM RESET listen_addresses;'\"'\"''"
    ]


def test_an_include_of_itself_ends(doctor: Doctor, clean: CleanMaster) -> None:
    clean.configure("9.4", "include 'postgresql.conf'\n")
    assert doctor("master", clean, "--json", lab=V2_ONLY).states()["M2"] == "cannot tell"


@pytest.mark.parametrize(
    ("value", "elsewhere"),
    [("*", True), ("localhost,*", True), ("lab.example.org", True), ("127.1.2.3", False), ("::1", False), ("", False)],
)
def test_where_a_server_listens(value: str, elsewhere: bool) -> None:
    assert listens_elsewhere(value) is elsewhere


OPEN_RULES = [
    "host lavaserver lavaserver 0.0.0.0/0 md5",
    "host all all 10.0.0.0/8 md5",
    "host\tall\tall\t10.0.0.0/8\tmd5",
    "   host   all    all     10.0.0.0/8     md5   # V1",
    "hostssl all all 10.0.0.0/8 md5",
    "hostnossl all all 10.0.0.0/8 trust",
    "HOST all all 10.0.0.0/8 md5",
    "host lavaserver lavaserver 10.0.0.0 255.0.0.0 md5",
    "host lavaserver lavaserver 127.0.0.1 0.0.0.0 md5",
    "host all all 127.0.0.1/0 md5",
    "host all all ::/0 md5",
    "host all all ::1 :: md5",
    "host all all worker1.example.org md5",
    "host all all .example.org md5",
    "host all all samenet md5",
    "host all all all md5",
    'host "lavaserver" "lavaserver" 10.0.0.0/8 md5',
    "host other,lavaserver x 10.0.0.0/8 md5",
    "host sameuser all 10.0.0.0/8 md5",
    "host @databases all 10.0.0.0/8 md5",
    "host all all 10.0.0.0/8 ldap ldapserver=x",
    "host all \\\n all 10.0.0.0/8 md5",
]
CLOSED_RULES = [
    "local all postgres peer",
    "local all all md5",
    "host all all 127.0.0.1/32 md5",
    "host all all 127.0.0.1 255.255.255.255 md5",
    "host all all 127.0.0.0/8 md5",
    "host all all ::1/128 md5",
    "host all all ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff md5",
    "host all all localhost md5",
    "host all all samehost md5",
    "host all all 10.0.0.0/8 reject",
    "host all all 10.0.0.0 255.0.0.0 reject",
    "# host all all 10.0.0.0/8 md5",
    "host all",
    "",
]


@pytest.mark.parametrize("rule", OPEN_RULES)
def test_r173_r178_r179_rules_that_let_others_in(doctor: Doctor, clean: CleanMaster, obey: Obey, rule: str) -> None:
    clean.write(RULES, f"{DEFAULT_HBA}{rule}\n")
    step = doctor("master", clean, "--json", lab=V2_ONLY).steps["M3"]
    assert step["state"] == "open"
    assert [(finding["file"], finding["line"]) for finding in step["findings"]] == [(RULES, 6)]
    if "\\" not in rule:
        assert obey(clean, step["commands"]) == []
        assert doctor("master", clean, "--json", lab=V2_ONLY).states()["M3"] == "ok"
        assert clean.path(RULES).read_text().startswith(DEFAULT_HBA), "R171: the master's own rules stay"


@pytest.mark.parametrize("rule", CLOSED_RULES)
def test_r173_rules_that_let_nobody_in(rule: str) -> None:
    assert remote_rules(f"{rule}\n") == []


def test_r180_the_default_passes(doctor: Doctor, clean: CleanMaster) -> None:
    assert doctor("master", clean, "--json", lab=V2_ONLY).steps["M3"]["findings"] == []


def test_r181_the_command_to_look_has_the_real_version(doctor: Doctor, clean: CleanMaster) -> None:
    clean.configure("9.6", "", "host all all 10.0.0.0/8 md5\n")
    out = doctor("master", clean, "--only", "M3", lab=V2_ONLY).out
    assert "sudo grep -v '#' /etc/postgresql/9.4/main/pg_hba.conf\n" in out
    assert "sudo grep -v '#' /etc/postgresql/9.6/main/pg_hba.conf\n" in out


def test_r173_rules_may_be_elsewhere(doctor: Doctor, clean: CleanMaster) -> None:
    clean.configure("9.4", "hba_file = '/srv/rules.conf'\n", "host all all 10.1.0.0/16 md5\n")
    clean.write(
        "/srv/rules.conf",
        "include more.conf\ninclude_dir more\ninclude_dir empty\ninclude rules.conf\ninclude_if_exists no\n",
    )
    clean.write("/srv/more.conf", "\nhost all all 10.2.0.0/16 md5\n")
    clean.write("/srv/more/a.conf", "host all all 10.3.0.0/16 md5\n")
    clean.path("/srv/empty").mkdir()
    clean.write("/srv/more/a.old", "host all all 10.4.0.0/16 md5\n")
    step = doctor("master", clean, "--json", lab=V2_ONLY).steps["M3"]
    assert sorted((finding["file"], finding["line"]) for finding in step["findings"]) == [
        ("/srv/more.conf", 2),
        ("/srv/more/a.conf", 1),
    ]


def test_r173_rules_of_other_databases_are_left_alone(doctor: Doctor, clean: CleanMaster) -> None:
    clean.write(RULES, f"{DEFAULT_HBA}host wiki wiki 10.0.0.0/8 md5\nhost replication all 10.0.0.0/8 md5\n")
    step = doctor("master", clean, "--json", lab=V2_ONLY).steps["M3"]
    assert (step["state"], step["commands"]) == ("ok", [])
    assert texts(step).splitlines()[0] == "not about lavaserver, left alone: host wiki wiki 10.0.0.0/8 md5"


addresses = st.one_of(
    st.builds(
        lambda number, bits: ipaddress.ip_network((number, bits), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, bits: ipaddress.ip_network((number, bits), strict=False),
        st.one_of(st.integers(0, 9), st.integers(0, 2**128 - 1)).map(ipaddress.IPv6Address),
        st.integers(0, 128),
    ),
    st.integers(8, 32).map(lambda bits: ipaddress.ip_network(("127.0.0.0", bits))),
)


@given(addresses)
def test_an_address_is_own_when_all_of_it_is_loopback(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    """Both ways of writing a network say the same, and no address of another machine is let through."""
    own = all(address.packed[0] == 127 for address in (network[0], network[-1]))
    if network.version == 6:
        own = network[0] == network[-1] == ipaddress.IPv6Address(1)
    assert is_own(str(network)) is own
    two_columns = f"host all all {network[0]} {network.netmask} md5\n"
    assert bool(remote_rules(two_columns)) is not own


def test_r182_the_restart_comes_last_and_once(doctor: Doctor, master: V1Master) -> None:
    out = doctor("master", master, lab=V2_ONLY).out
    assert out.count("sudo service postgresql restart") == 1
    assert out.index("sudo service postgresql restart") > out.index("/pg_hba.conf")


def test_r182_files_newer_than_the_server(doctor: Doctor, clean: CleanMaster) -> None:
    assert doctor("master", clean, "--json", lab=V2_ONLY).states()["M4"] == "ok"
    clean.write(RULES, DEFAULT_HBA, changed=NOW - timedelta(hours=1))
    said = doctor("master", clean, "--json", lab=V2_ONLY)
    assert (said.states()["M4"], said.steps["M4"]["commands"]) == ("open", ["sudo service postgresql restart"])
    assert said.steps["M4"]["findings"][0]["file"] == RULES
    clean.process(700, "/usr/lib/postgresql/9.4/bin/postgres", "-D", "/var/lib/postgresql/9.4/main", started=NOW)
    assert doctor("master", clean, "--json", lab=V2_ONLY).states()["M4"] == "ok"


def test_r186_keys_are_copied_before_they_go(doctor: Doctor, master: V1Master) -> None:
    commands = doctor("master", master, "--json", lab=V2_ONLY).steps["M1"]["commands"]
    assert commands[1] == f"cp -p --no-clobber {KEYS} {KEYS}.2016-11-25"
    assert commands[2].startswith("sed -i ")


def test_r120_devices_without_a_dictionary(doctor: Doctor, clean: CleanMaster) -> None:
    devices = [{"name": name, "dictionary": name == "a"} for name in ("a", "c", "b", "d")]
    clean.write("/etc/lava-server/dispatcher-config/devices/d.jinja2", "{% extends 'qemu.jinja2' %}\n")
    step = doctor("master", clean, "--json", lab={**V2_ONLY, "devices": devices}).steps["O1"]
    assert (step["state"], [finding["value"] for finding in step["findings"] if finding["value"]]) == (
        "open",
        ["b", "c"],
    )


DIRECTORY = "/etc/lava-dispatcher/certificates.d"


def test_r75_the_name_slave_is_for_tests(doctor: Doctor, clean: CleanMaster) -> None:
    clean.write(f"{DIRECTORY}/master.key", "")
    clean.write(f"{DIRECTORY}/slave.key", "")
    seen = [{"name": name, "v1": False, "last_seen": NOW, "certificate": "slave"} for name in ("a", "b")]
    alone = doctor("master", clean, "--json", lab={"workers": seen[:1]})
    assert alone.states()["C1"] == "ok"
    several = doctor("master", clean, "--json", lab={"workers": seen})
    assert several.states()["C1"] == "advice"
    assert several.steps["C1"]["findings"][0]["file"] == f"{DIRECTORY}/slave.key"


def test_r79_keys_that_nobody_used_for_30_days(doctor: Doctor, clean: CleanMaster) -> None:
    clean.write("/etc/lava-server/lava-master", 'SLAVES_CERTS="--slaves-certs /srv/keys"\n')
    for name in ("master", "new", "old", "gone"):
        clean.write(f"/srv/keys/{name}.key", "")
        clean.write(f"/srv/keys/{name}.key_secret", "")
    workers = [
        {"name": "w1", "v1": False, "certificate": "new", "last_seen": NOW - timedelta(days=29)},
        {"name": "old", "v1": False, "last_seen": NOW - timedelta(days=31)},
    ]
    step = doctor("master", clean, "--json", lab={"workers": workers}).steps["C1"]
    assert [finding["value"] for finding in step["findings"]] == ["gone", "old"]
    assert step["commands"] == [
        "sudo mv -- /srv/keys/gone.key /root/",
        "sudo mv -- /srv/keys/old.key /root/",
        "sudo service lava-master restart",
    ]


def test_r79_without_a_list_the_keys_are_named(doctor: Doctor, clean: CleanMaster) -> None:
    clean.write(f"{DIRECTORY}/rack-1.key", "")
    said = doctor("master", clean, "--json")
    assert said.states()["C1"] == "cannot tell"
    assert "rack-1" in said.found("C1")
