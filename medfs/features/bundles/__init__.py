"""Networks of local MONAI bundles, read as data: nothing of a bundle is called or evaluated.

To MONAI a configuration is a program (`_target_` names any Python object, `$` any expression;
GHSA-873f-pvrv-4x83). Here it may do one thing: say which of a list of known networks is meant, and
with which plain values. See docs/backbones.md.
"""
