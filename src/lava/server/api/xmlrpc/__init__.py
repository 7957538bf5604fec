"""XML-RPC at ``/RPC2``: what ``lavacli`` and years of scripts speak.  Source: XML-RPC specification.

:mod:`.registry` has the table of methods, one module for each name space fills it, :mod:`.view` speaks the protocol.
"""
