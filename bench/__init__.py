"""Benchmarks: each runs a peer and us in one process tree and prints the ratio. `make bench` runs the quick ones."""
