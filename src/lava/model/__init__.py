"""The nouns of LAVA as frozen types, with the parsers that make them.

Nothing here opens a socket, starts a process or reads the clock; everything else imports from here.
"""
