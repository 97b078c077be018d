"""Replicas of a rung on the machines of a Ray cluster: requests in, replies out, each with the joules of its machine.

`provider.py` is the face. `pool.py` decides who is asked and what a death costs, and knows nothing of Ray; `actor.py`
runs on the nodes. Ray places the actors and tells when one has died; nothing here schedules or restarts a node.
"""
