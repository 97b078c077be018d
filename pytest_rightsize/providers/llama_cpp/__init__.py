"""Runs GGUF models in this process, many requests at a time: Requests come in, Futures of Replies go out.

Nothing outside this folder imports more of it than `provider.py`. A model is loaded by its own thread when the first
request comes, and nothing is downloaded unless the user allowed it.
"""
