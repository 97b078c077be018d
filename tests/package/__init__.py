"""Checks of what is released: the source distribution, the wheel that is built from it, and its types."""
