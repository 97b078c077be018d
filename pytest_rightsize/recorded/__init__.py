"""Answers that were recorded earlier, found again by everything that could have changed them.

A rung's fingerprint and a request come in; the recorded reply goes out, or the new one, which is then recorded. No key
and no header is ever recorded, and a sampled answer counts for one case only.
"""
