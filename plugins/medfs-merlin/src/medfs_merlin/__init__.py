"""Merlin's image encoder as a backbone of medfs."""
