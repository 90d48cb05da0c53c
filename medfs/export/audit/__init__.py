"""What in a MONAI bundle could run code, leave its folder, or is not what it says; nothing is run.

A bundle's configuration is a program: `_target_` names any Python object to be called, `$` any
expression to be evaluated (GHSA-873f-pvrv-4x83). Checkpoints are pickles. Both are read here as
text and as opcodes, never by MONAI's or torch's loaders.
"""
