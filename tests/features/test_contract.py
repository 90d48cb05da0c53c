"""Encoders keep the laws that `medfs.testing` checks for plugins too."""

from medfs.features.radiomics import Radiomics
from medfs.testing import check_encoder


def test_radiomics_keeps_the_laws_of_encoders():
    check_encoder(Radiomics(), (16, 20, 24))
