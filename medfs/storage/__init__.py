"""Writing whole or not at all, hashing, and tensors on disk: a leaf that every stage may use."""
