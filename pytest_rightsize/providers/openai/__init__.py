"""Sends requests to an OpenAI-compatible endpoint: Requests come in, Futures of Replies go out.

Nothing outside this folder imports more of it than `provider.py`. A request is sent again after a fault and never after
an answer, and a key appears in no error, log or file.
"""
