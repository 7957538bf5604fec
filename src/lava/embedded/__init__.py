"""A whole instance on one machine: the same daemons as in a lab, with SQLite, started and watched together.

:mod:`.layout` says where everything lies in the data directory, :mod:`.prepare` fills it,
:mod:`.supervisor` keeps web server, master and slave running.
"""
