"""Tasks for two real models; see the README of the example suite."""
