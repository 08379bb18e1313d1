"""Interpolation of bad channels; the code is in `meegic.clean`."""

from meegic.clean.interpolate import make_spline_operator, spherical_spline_interpolate

__all__ = ["make_spline_operator", "spherical_spline_interpolate"]
