"""What the two daemons share: how they are configured, how they start, log and stop.

*Settings* are the ``NAME="value"`` lines of a configuration file; each stands for one *option* of the command line, so
that both are read by one parser and say the same faults.  The command line wins over the file, the file over what is
built in.
"""
