"""Independent component analysis; the code is in `meegic.components`."""

from meegic.components.fastica_estimator import FastICA

__all__ = ["FastICA"]
