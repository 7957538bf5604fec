"""What master and slave say to each other.

*Messages* are frozen types with one parser; a *peer* is one end of the conversation without any I/O: it is told what
arrives and what time it is, and says what to send and what to do.  Sockets and keys are in :mod:`.sockets` and
:mod:`.certificates`.
"""
