"""LAVA: run test jobs on real hardware and report what happened, line by line."""

#: Clients such as ``lavacli`` read features off a text of the form ``20YY.MM``.
__version__ = "2026.11"
