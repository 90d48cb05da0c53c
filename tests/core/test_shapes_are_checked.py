"""The import hook of the suite is active."""

import jaxtyping
import pytest
import torch

from medfs.core.theta import LinearHead


def test_a_wrong_shape_raises():
    with pytest.raises(jaxtyping.TypeCheckError):
        LinearHead(torch.zeros(2, 3), torch.zeros(3))
