"""The study "Specialists": a chess engine and a classifier of words on a ladder of language models."""
