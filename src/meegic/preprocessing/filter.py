"""Filters; the code is in `meegic.clean`."""

from meegic.clean.filter import apply_filter, filter_data, lfilter
from meegic.clean.filter_design import Filter, butter_sos, design_filter, design_notch

__all__ = [
    "Filter",
    "apply_filter",
    "butter_sos",
    "design_filter",
    "design_notch",
    "filter_data",
    "lfilter",
]
