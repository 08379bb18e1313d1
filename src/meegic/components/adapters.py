"""What scripts for scikit-learn and pyAMICA pass and expect, in our words."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import validate_data

from meegic.base.checks import check_count, check_finite, check_option, check_shape
from meegic.base.errors import NotFittedError, OptionError, ShapeError
from meegic.base.record import draw_seed
from meegic.components.checkpoint import Checkpoints
from meegic.components.inspection import split_mask


class SeedArray(np.ndarray):
    """A NumPy array that also answers as a tensor does, for scripts of pyAMICA."""

    def numpy(self) -> np.ndarray:
        """Give the plain array."""
        return np.asarray(self)

    def cpu(self) -> "SeedArray":
        """Stay where it is."""
        return self

    def detach(self) -> "SeedArray":
        """Stay as it is: nothing is attached."""
        return self


class AmicaNotFittedError(NotFittedError, SklearnNotFittedError):
    """A result of `AMICA` was asked for before its fit."""


def make_checkpoints(given: dict[str, Any]) -> Checkpoints | None:
    """Choose where states of a fit are kept; nowhere unless asked for.

    Examples
    --------
    >>> make_checkpoints({"checkpoint_every": 0, "checkpoint_path": None}) is None
    True
    """
    every, path = given["checkpoint_every"], given["checkpoint_path"]
    check_count("checkpoint_every", every, low=0)
    if not every and path is None:
        return None
    path = "amica_checkpoint.npz" if path is None else path
    return Checkpoints(path, every=every)


def take_samples(
    estimator: BaseEstimator, X: Any, weights: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Take samples by channels, masked or not, and their weights.

    Examples
    --------
    >>> take_samples(BaseEstimator(), [[1, 2], [3, 4], [5, 7]], None)[0].dtype
    dtype('float64')
    """
    weights = None if weights is None else np.asarray(weights, float)
    if isinstance(X, np.ma.MaskedArray) and X.ndim == 2:
        plain, weights = split_mask(X.T, weights)
        X = np.asarray(plain).T
    X = validate_data(
        estimator, X, dtype=[np.float64, np.float32], ensure_all_finite=False,
        ensure_min_samples=2, ensure_min_features=2,
    )  # fmt: skip
    check_finite("X", X)
    if X.shape[1] > X.shape[0]:
        raise ShapeError(
            f"X has more channels ({X.shape[1]}) than samples ({X.shape[0]}); is it "
            "transposed?",
            hint="X is samples by channels here: pass data.T.",
        )
    if weights is not None:
        check_shape("sample_weight", weights, (len(X),))
    return X, None if weights is None else np.asarray(weights)


def take_seed(random_state: Any) -> int | None:
    """Take scikit-learn's forms of a random state to a seed; None stays None.

    Examples
    --------
    >>> take_seed(7)
    7
    """
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**32))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    return None if random_state is None else draw_seed(random_state)


def name_dtype(dtype: Any) -> str:
    """Name a precision that is given as text or as a type of NumPy or torch.

    Examples
    --------
    >>> name_dtype(np.float32)
    'float32'
    """
    text = str(dtype).removeprefix("torch.")
    if isinstance(dtype, (type, np.dtype)):
        text = np.dtype(dtype).name
    check_option("dtype", text, ["float64", "float32"])
    return text


def name_device(device: Any) -> str:
    """Name a device in this package's words.

    Examples
    --------
    >>> name_device("cuda:0")
    'gpu'
    """
    kind, _, index = str(device).partition(":")
    if kind not in ("cpu", "gpu", "cuda") or (index and not index.isdigit()):
        raise OptionError(
            f"device must be 'cpu', 'gpu' or 'cuda', but got {str(device)!r}.",
            hint="Apple's and Intel's accelerators have no float64; use 'cpu'.",
        )
    return "gpu" if kind == "cuda" else kind


def as_seed_array(array: np.ndarray) -> SeedArray:
    """Give an array the methods that scripts of pyAMICA call.

    Examples
    --------
    >>> as_seed_array(np.ones(2)).cpu().numpy()
    array([1., 1.])
    """
    return np.array(array, order="C").view(SeedArray)  # a copy: the model stays


def pad(values: np.ndarray, length: int) -> np.ndarray:
    """Fill up with zeros.

    Examples
    --------
    >>> pad(np.ones(1), 3)
    array([1., 0., 0.])
    """
    return np.concatenate([values, np.zeros(length - len(values))])
