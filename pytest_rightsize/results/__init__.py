"""The files that a run leaves behind: the results file and the lock.

In come the nouns of `records.py`; out go lines on disk and, when read again, the same nouns. Nothing here judges, and a
prompt or an answer that is to be withheld never reaches the disk.
"""
