"""Tests of hosts: rungs whose model answers in a process of its own."""
