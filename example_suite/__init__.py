"""The suite that a user of pytest-rightsize would write, with a ladder of tiny models to run it on."""
