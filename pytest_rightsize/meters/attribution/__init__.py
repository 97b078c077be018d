"""Attribution of a device's joules to single answers.

In come the running totals of energy counters and the moments at which requests begin and end; out go each answer's
energy with its bounds, and what each device took while nothing ran. An amount that is not known stays unknown and never
becomes 0. Other folders import `metered.py` only.
"""
