"""A rung's model in a process of its own, a host: requests of any process of the session in, replies with energy out.

The process that owns the session starts one host per rung (`hosts.py`), and the workers of pytest-xdist ask it over a
socket (`worker_connections.py`, `asking.py`). It judges nothing, records nothing, and decides nothing about trials.
"""
