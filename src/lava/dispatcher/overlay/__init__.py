"""The overlay: everything the device gets from us before it runs tests.

A *planned run* is one test definition of the job with its number and stage; fetched, it is a *test run*.  Around the
runs of a namespace the *overlay* puts the helpers of ``bin/``, an environment and the secrets, as one archive.
Source: dispatcher specification 12.
"""

from .facts import Overlay, PlannedRun, PreCommands, TestRun, TestRuns

__all__ = ["Overlay", "PlannedRun", "PreCommands", "TestRun", "TestRuns"]
