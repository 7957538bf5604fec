"""The web server's half: data, pages, APIs.

``models`` are fields and constraints, ``actions`` change the database and announce it, ``views`` and ``api`` authorise
and parse, ``live`` streams logs.
"""
