"""Answers of vendors, read back: a body or a whole stream, in the form of one wire, becomes a Reply.

The counterpart of `wires/`, which writes them. Pure: one file for each form. It is used where an application's calls
are passed on and written down.
"""
