"""The commands of `rightsize`, one file each; `cli.py` finds them by their file.

To add one: write `commands/NAME.py` with a docstring whose first line is its help, `add_arguments(parser)` and
`run(arguments) -> int`, which returns the exit status.
"""
