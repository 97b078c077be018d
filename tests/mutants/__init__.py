"""Mutants of the package, to measure whether its own tests notice a changed line: `tox run -e mutants`."""
