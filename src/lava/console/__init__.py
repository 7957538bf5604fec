"""The text side of a connection to a device.

A :class:`Console` is a child process on a terminal; what it prints is logged line by line (:mod:`.lines`) and searched
for patterns (:mod:`.matcher`).  What a kernel says when it is in trouble is in :mod:`.kernel`.
"""

from .channel import Console
from .matcher import Hit, Matcher, compile_pattern

__all__ = ["Console", "Hit", "Matcher", "compile_pattern"]
