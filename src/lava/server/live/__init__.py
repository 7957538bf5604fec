"""What a browser or a terminal sees while a job runs, as server-sent events.

A *snapshot* is what the database says of a job at one moment.  The *hub* of a process reads snapshots of all jobs that
somebody watches, when it is woken or after a while, in one query for all.  A *stream* turns one job's snapshots and the
bytes of its log into *events*; a place in it is a byte offset of the log, so a client goes on wherever it stopped.
"""
