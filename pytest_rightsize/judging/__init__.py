"""Judges a run: its verdicts, and the conclusions drawn from them.

Takes the trials of a run and the policies of its tasks, and returns verdicts, failed gates, usage, comparisons and
savings. Everything here is computed from its arguments, except that `baseline.py` reads the earlier run to compare
with. Nothing here prints or sets an exit status.
"""
