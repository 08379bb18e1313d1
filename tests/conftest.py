"""What every test shares: strict JAX, float64 on request, the golden data."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import matplotlib
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
matplotlib.use("agg")


@pytest.fixture
def x64() -> Iterator[None]:
    """JAX in float64 for a test of pure array functions."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden data and recordings, beside the repository."""
    default = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("MEEGIC_SHARED", default))
    if (folder / "golden").is_dir():
        return folder
    if os.environ.get("CI"):
        pytest.fail(f"golden data not found at {folder}; CI must have them")
    pytest.skip(f"golden data not found at {folder}")
