"""From a device dictionary and a device-type template to the device configuration that a job is given.

:class:`Templates` renders; the templates that come with LAVA are in ``types/``.
"""

from .templates import SHIPPED, TemplateFault, Templates

__all__ = ["SHIPPED", "TemplateFault", "Templates"]
