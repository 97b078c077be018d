"""Drafts of test suites: cases and a test file, from an application's calls or from a file of another tool.

In come questions with the answers that they got, or files of promptfoo, of OpenAI's evals, of chats, or of rows. Out go
`cases.jsonl` and a test file that runs as it is. It asks no model, and what it proposes is for a person to review.
"""
