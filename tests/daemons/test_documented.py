"""What admins must be told stands in the manual, with files and steps that exist.  Source: seed requirements C-F, I."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = (ROOT / "docs" / "how-to" / "install-a-lab.md").read_text()
ENCRYPT = (ROOT / "docs" / "how-to" / "encrypt-a-lab.md").read_text()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        pytest.param(INSTALL, "hacking session .* only be used by somebody who is inside", id="R17"),
        pytest.param(INSTALL, r"\*before\* the package .* apt --no-install-recommends install", id="R20"),
        pytest.param(INSTALL, "one server per lab", id="R8"),
        pytest.param(INSTALL, "sudo service lava-slave restart", id="R33"),
        pytest.param(
            INSTALL, "a suitable device-type template exists, .* complete and tested device dictionary", id="R39"
        ),
        pytest.param(INSTALL, "name of the PDU, the device's port on it, the port of its serial connection", id="R40"),
        pytest.param(INSTALL, r"with each job, \*\*in clear text unless", id="R41"),
        pytest.param(INSTALL, "business of the worker's owner", id="R42"),
        pytest.param(INSTALL, "first generation of LAVA has `lava-server` on it", id="R48"),
        pytest.param(INSTALL, "lava-slave.log.*lava-master.log", id="R105"),
        pytest.param(ENCRYPT, "nothing is unless it is set", id="R61"),
        pytest.param(ENCRYPT, "strongly recommended", id="R62"),
        pytest.param(ENCRYPT, "Choose a time when no job runs", id="R65"),
        pytest.param(ENCRYPT, "Nothing changes until the daemons are restarted", id="R66"),
        pytest.param(ENCRYPT, "Try it on a test instance first", id="R67"),
        pytest.param(ENCRYPT, "stays where it was made", id="R70"),
        pytest.param(ENCRYPT, r"delete its `\.key` .* restart the master", id="R71"),
        pytest.param(ENCRYPT, r"create_certificate\.py NAME", id="R73"),
        pytest.param(ENCRYPT, "a name that tells which machine it is", id="R74"),
        pytest.param(ENCRYPT, "Take keys away from the master that no slave uses any more", id="R79"),
        pytest.param(ENCRYPT, "Ports and worker names stay the same", id="R87"),
    ],
)
def test_what_admins_must_know_is_written(page: str, said: str) -> None:
    assert re.search(said, " ".join(page.split()))


@pytest.mark.parametrize(
    ("page", "steps"),
    [
        pytest.param(
            INSTALL,
            [
                "sudo cp /usr/share/lava-dispatcher/apache2/lava-dispatcher.conf /etc/apache2/sites-available/",
                "sudo a2ensite lava-dispatcher",
                "sudo a2dissite 000-default",
                "sudo service apache2 restart",
                "wget http://localhost/tmp/",
                "rm index.html",
            ],
            id="R44-R47",
        ),
        pytest.param(
            ENCRYPT,
            [
                "lava-create-certificate master",
                "lava-create-certificate rack-1",
                '`ENCRYPT="--encrypt"`',
                "sudo service lava-slave stop",
                "sudo service lava-master restart",
                "sudo service lava-slave start",
            ],
            id="R73-R83",
        ),
        pytest.param(
            ENCRYPT,
            [
                "INFO Creating ZMQ context and socket connections",
                "INFO Starting encryption",
                "DEBUG Opening slave certificate: ",
                "DEBUG Opening master certificate: ",
                "INFO Connecting to master as ",
                "INFO Connection is encrypted using ",
                "DEBUG Greeting the master => 'HELLO'",
                "INFO Waiting for the master to reply",
                "DEBUG The master replied: ['HELLO_OK']",
                "INFO Connection with the master established",
            ],
            id="R103-R106",
        ),
    ],
)
def test_steps_stand_in_their_order(page: str, steps: list[str]) -> None:
    place = 0
    for step in steps:
        place = page.find(step, place)
        assert place >= 0, f"{step} is missing, or too early"


def test_r22_shipped_files_are_told_of_and_exist() -> None:
    """R22, R44, R88, R109: each file of ``packaging/`` is copied to its place by a command of the manual."""
    copied: set[Path] = set()
    for words in re.findall(r"^cp (?:-r )?(packaging/.*) /\S+$", INSTALL, re.MULTILINE):
        for word in words.split():
            found = list(ROOT.glob(word))
            assert found, f"{word} does not exist"
            copied |= {each for path in found for each in (path, *path.rglob("*")) if each.is_file()}
    shipped = {path for path in (ROOT / "packaging").rglob("*") if path.is_file()} - {ROOT / "packaging" / "README.md"}
    assert copied == {path for path in shipped if "__pycache__" not in path.parts}


def test_each_file_is_copied_to_where_it_lies_in_the_sources() -> None:
    """R22, R92: the tree of ``packaging/`` is that of an installed machine."""
    for words, target in re.findall(r"^cp (?:-r )?(packaging/.*) (/\S+)$", INSTALL, re.MULTILINE):
        for word in words.split():
            assert str(Path(word).parent) == f"packaging{target.rstrip('/')}"
