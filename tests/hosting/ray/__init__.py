"""Tests of replicas on a Ray cluster: those without Ray play it, `test_cluster.py` has two real nodes."""
