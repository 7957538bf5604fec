"""The log of a job as a file of lines that only grows, and places in it as byte offsets."""

from .logfile import LogFile, read_lines

__all__ = ["LogFile", "read_lines"]
