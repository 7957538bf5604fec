"""The daemon on the worker: starts jobs, remembers them, ships their logs.

The *journal* is what it knows after a crash, a *job process* is one ``lava-run``, the *forwarder* sends logs.
"""
