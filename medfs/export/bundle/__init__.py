"""MONAI bundles: the folder that MONAI's own tools run, check and export."""
