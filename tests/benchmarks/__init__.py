"""Benchmarks: scripts that measure speed, memory and the truth of bounds; pytest collects none of them."""
