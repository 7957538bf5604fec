"""Fetch files: look whether they are there, then stream them through checksums and decompression to disk.

:func:`fetch` does the whole; :mod:`.sources` knows the schemes, :mod:`.unpack` the compressions.
"""

from .fetch import Downloaded, fetch
from .sources import check_source, resolve_url

__all__ = ["Downloaded", "check_source", "fetch", "resolve_url"]
