"""Answers that were given before, found again by everything that could have changed them.

In come a rung's fingerprint and a request; out goes the recorded reply, or the new one after it was written down. A
key, a header or a path is never recorded, and an answer is never given to a second case.
"""
