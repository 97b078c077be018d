"""GGUF models that run in this process, many answers at a time.

In come requests, out go Futures of replies; `provider.py` is the only file that others import. A model is loaded by its
own thread when it is first asked, and nothing is downloaded unless the user allowed it.
"""
