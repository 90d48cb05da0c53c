"""Simulated scans whose labels and masks are known, from latent factors and a seed."""
