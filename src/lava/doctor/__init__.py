"""The doctor: look at a machine that ran V1 and V2, say what is left of V1 and how to take it away safely.

A *machine* offers files, mounts, processes and a few commands, all read-only.  A *check* looks at one step of the
documented order and says in a *result* what it found.  A *step* is a check with its place in the order and the steps
that it has to wait for.  Nothing here changes anything.

Source: seed requirements P to S.
"""
