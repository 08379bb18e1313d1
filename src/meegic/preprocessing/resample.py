"""Resampling; the code is in `meegic.clean`."""

from meegic.clean.resample import resample_minimal, resample_poly

__all__ = ["resample_minimal", "resample_poly"]
