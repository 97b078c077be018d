"""From a run to verdicts, and to what follows from them.

In come the trials of a run and the policies of its tasks; out go verdicts, failed gates, usage, comparisons and
savings. Everything is computed from what is given: only `baseline.py` reads a file, the earlier run to compare with,
and nothing here prints or sets an exit status.
"""
