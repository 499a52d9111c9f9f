"""Faults, each with real processes: kills at random moments, a disk that is full, damaged files."""
