"""A small application, as anyone would write it, and its tests, which climb the ladder."""
