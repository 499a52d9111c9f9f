"""Journeys: the main path (run.py), and one file for each that crosses capabilities."""
