"""Fetch files: look whether they are there, then stream them through checksums and decompression to disk.

:func:`fetch` does the whole; :mod:`.sources` knows the schemes, :mod:`.unpack` the compressions,
:mod:`.members` what of an archive may be unpacked.
"""

from .fetch import Downloaded, fetch
from .members import TAMED, data_member
from .sources import check_source, resolve_url

__all__ = ["TAMED", "Downloaded", "check_source", "data_member", "fetch", "resolve_url"]
