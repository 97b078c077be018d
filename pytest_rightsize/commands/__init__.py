"""Commands of `rightsize`, one file each.

In come the arguments of a command line and the files that they name; out go text, files and an exit status. No command
calls a model, and none judges or measures by itself: it calls the room that does. To add one: write `NAME.py` in this
folder with a docstring whose first line is its help, `EXAMPLES` of command lines, `add_arguments(parser)` and
`run(arguments) -> int`, which returns the exit status; `__main__.py` finds it by its file.
"""
