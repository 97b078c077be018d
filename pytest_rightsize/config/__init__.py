"""What the user asked for, as settings that the other rooms can trust.

In come pytest's options, ini keys, markers and the ladder file; out go `Settings`, a `Ladder` of rungs and a `Policy`
for each task. Nothing here asks a model, opens a connection or writes a file. To add an option: a row in `options.py`
and a field in `settings.py`; a key of the ladder file: `ladder.py`.
"""
