"""Tests in flight: which trial runs next, who waits for an answer, and how each trial ended.

In come pytest's items and the providers of the rungs; out go graded trials. Nothing here reads the user's options,
writes a file or judges a task.
"""
