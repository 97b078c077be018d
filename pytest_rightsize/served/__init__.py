"""The application under test: what its own SDKs ask is answered by the rung of the test that runs.

In come HTTP requests of this machine, in the form of one of the `wires/`; out go the rung's replies in the same form,
and nothing else. Headers, and the keys in them, are dropped before anything is kept. Nothing here judges an answer, and
nothing of it is loaded unless `[app] serve` is on.
"""
