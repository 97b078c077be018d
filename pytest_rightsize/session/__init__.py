"""One pytest session: the only room that puts the others together.

In come pytest's hooks, in the order in which pytest calls them; out go the results file, the reports, the summary on
the terminal and the exit status. No rule about rungs, energy or verdicts is made here: it calls the room that knows it.
"""
