"""The job definition: what a submitter asks for.

:func:`parse_job_text` reads it, :class:`JobDefinition` is the whole, a :class:`Block` one of its actions:
:mod:`.deploy`, :mod:`.boot` and :mod:`.test` have a class for each method.
"""

from .base import Timeout, parse_timeout
from .block import Block, CommandBlock
from .boot import AutoLogin, BootBlock, QemuBoot, TransferOverlay
from .definition import CONTEXT_VARIABLES, JobDefinition, Timeouts
from .deploy import DeployBlock, DownloadsDeploy, TmpfsDeploy
from .parse import parse_job, parse_job_text, strict_warnings
from .resource import Docker, Download, Resource
from .test import Definition, DefinitionsTest, InteractiveTest, MonitorsTest, TestBlock

__all__ = [
    "CONTEXT_VARIABLES",
    "AutoLogin",
    "Block",
    "BootBlock",
    "CommandBlock",
    "Definition",
    "DefinitionsTest",
    "DeployBlock",
    "Docker",
    "Download",
    "DownloadsDeploy",
    "InteractiveTest",
    "JobDefinition",
    "MonitorsTest",
    "QemuBoot",
    "Resource",
    "TestBlock",
    "Timeout",
    "Timeouts",
    "TmpfsDeploy",
    "TransferOverlay",
    "parse_job",
    "parse_job_text",
    "parse_timeout",
    "strict_warnings",
]
