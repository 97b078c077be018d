"""Models behind an OpenAI-compatible endpoint.

In come requests, out go Futures of replies; `provider.py` is the only file that others import. A request is repeated
after a fault and never after an answer, and a key appears in no error, log or file.
"""
