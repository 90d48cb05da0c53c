"""A calibrated classifier on disk."""
