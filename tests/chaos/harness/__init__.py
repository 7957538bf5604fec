"""Whole instances with simulated boards behind cables that can be cut, and what became of every line.

A *lab* is the daemons; a *blow* is something that goes wrong; the *ledger* says what was sent and what was stored.
"""
