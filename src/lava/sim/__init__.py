"""A lab without hardware: boards that are programs, and a network that fails when told to.

A *board* is a real shell behind a scripted boot and log in; a *relay* is a cable that can be cut.
"""
