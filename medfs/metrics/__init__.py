"""How good, how calibrated, how sure: pure functions on NumPy arrays, without torch or sklearn."""
