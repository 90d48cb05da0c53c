"""Patches → features: radiomics of the region, and 3D backbones with weights of the user."""
