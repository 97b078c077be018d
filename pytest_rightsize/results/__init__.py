"""The files that a run leaves behind: the results file and the lock.

The nouns of `records.py` come in and are written as lines; read again, the lines become the same nouns. Nothing here
judges, and a prompt or an answer that is to be withheld never reaches the disk.
"""
