"""The lab and its jobs: fields and constraints, no behaviour.

A *worker* runs jobs for its *devices*, each of a *device type*; a *job* asks for a device type and is given a device.
"""

from .accounts import AuthToken, RemoteArtifactsAuth
from .jobs import TestJob, by_display_id
from .lab import Alias, Device, DeviceType, Tag, Worker
from .lease import MasterLease

__all__ = [
    "Alias",
    "AuthToken",
    "Device",
    "DeviceType",
    "MasterLease",
    "RemoteArtifactsAuth",
    "Tag",
    "TestJob",
    "Worker",
    "by_display_id",
]
