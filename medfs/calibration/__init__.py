"""Held-out support logits → a temperature, and what the support says about performance."""
