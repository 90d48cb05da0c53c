"""Contract tests that authors of plugins run too: a broken law is an AssertionError in words."""

from medfs.testing.encoders import check_encoder
from medfs.testing.mappers import check_mapper

__all__ = ["check_encoder", "check_mapper"]
