"""Scans damaged on purpose, and what may become of them; for the tests and the long fuzzing run."""
