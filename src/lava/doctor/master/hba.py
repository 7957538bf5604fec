"""``pg_hba.conf``: which rules let other machines in.  By what a rule means, not by how it is written."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_TOKEN = re.compile(r'\s*((?:"[^"]*"|[^\s"#])+)')
_TYPES = frozenset({"host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"})
_LOOPBACK_4 = ipaddress.IPv4Network("127.0.0.0/8")
_LOOPBACK_6 = ipaddress.IPv6Network("::1/128")
_OWN_NAMES = frozenset({"localhost", "localhost.localdomain", "samehost"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is about other machines than this one."""

    line: int
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    text: str

    def concerns(self, database: str) -> bool:
        """The rule can be about this database."""
        return any(
            name == database or (name in ("all", "sameuser", "samerole", "samegroup") or name[:1] in "@/+")
            for name in self.databases
        )


def remote_rules(text: str) -> list[Rule]:
    """Return the rules that let other machines in, to any database.

    A rule that rejects lets nobody in.  Also one whose address is not understood counts: better to look at it.
    """
    found = []
    for number, line in _lines(text):
        words = _TOKEN.findall(_without_comment(line))
        if len(words) < 4 or words[0].lower() not in _TYPES:
            continue
        address, method = _address(words[3:])
        if method != "reject" and not is_own(address):
            databases, users = (tuple(_plain(name) for name in word.split(",")) for word in words[1:3])
            found.append(Rule(number, databases, users, address, " ".join(words)))
    return found


def includes(text: str) -> list[tuple[str, str]]:
    """Return what is included: the kind (``include``, ``include_dir``, ``include_if_exists``) and the name."""
    found = []
    for _, line in _lines(text):
        words = _TOKEN.findall(_without_comment(line))
        if len(words) == 2 and words[0] in ("include", "include_dir", "include_if_exists"):
            found.append((words[0], _plain(words[1])))
    return found


def is_own(address: str) -> bool:
    """No other machine has this address."""
    name = _plain(address).lower()
    if name in _OWN_NAMES:
        return True
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False
    if isinstance(network, ipaddress.IPv4Network):
        return network.subnet_of(_LOOPBACK_4)
    return network.subnet_of(_LOOPBACK_6)


def _address(words: list[str]) -> tuple[str, str]:
    """Return the address, with its mask if that stands in a column of its own, and the method."""
    address, second, third = [*words, "", ""][:3]
    try:
        ipaddress.ip_address(_plain(second))
    except ValueError:
        return address, second.lower()
    return f"{_plain(address)}/{_mask(_plain(second))}", third.lower()


def _mask(mask: str) -> str:
    """Return a mask as a length: of IPv6 masks, nothing else is understood."""
    number = int(ipaddress.ip_address(mask))
    bits = 32 if "." in mask else 128
    length = bin(number).count("1")
    return str(length) if number == (1 << bits) - (1 << (bits - length)) else mask


def _lines(text: str) -> list[tuple[int, str]]:
    """Return lines with their numbers; one that ends in a backslash goes on in the next."""
    found: list[tuple[int, str]] = []
    going_on = False
    for number, line in enumerate(text.splitlines(), 1):
        if going_on:
            start, before = found[-1]
            found[-1] = (start, before + line.removesuffix("\\"))
        else:
            found.append((number, line.removesuffix("\\")))
        going_on = line.endswith("\\")
    return found


def _without_comment(line: str) -> str:
    match = re.match(r'(?:"[^"]*"|[^"#])*', line)
    return match[0] if match else ""


def _plain(word: str) -> str:
    return word.replace('"', "")
