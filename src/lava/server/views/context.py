"""What every page knows."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from lava import __version__


def instance(request: HttpRequest) -> dict[str, str]:
    """Return the name of the instance and the version."""
    return {"instance_name": settings.INSTANCE_NAME, "lava_version": __version__}
