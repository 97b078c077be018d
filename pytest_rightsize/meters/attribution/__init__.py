"""From running totals of energy to the share of each answer.

In come counters and the moments at which answers were in flight; out go the energy of each answer, with its bounds, and
what a device took when nothing ran. `metered.py` is the file that others import. An amount that is not known stays
unknown and never becomes 0.
"""
