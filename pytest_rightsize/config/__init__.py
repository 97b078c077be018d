"""Checks the user's configuration and turns it into values that the other rooms can trust.

Pytest's options, ini keys, markers and the ladder file come in; `Settings`, a `Ladder` of rungs and a `Policy` for each
task go out. Nothing here asks a model, opens a connection or writes a file. A new option is a row in `options.py` and a
field in `settings.py`; a new key of the ladder file goes into `rung_tables.py` or `task_tables.py`.
"""
