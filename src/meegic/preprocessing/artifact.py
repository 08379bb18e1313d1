"""Artifacts by Riemannian geometry; the code is in `meegic.clean` and `meegic.math`."""

from meegic.clean.artifacts import detect_artifacts_riemann
from meegic.math.spd import (
    covariance_mean,
    exp_map,
    log_map,
    map_tangent_space,
    riemannian_distance,
    tangent_space_vectorize,
)

__all__ = [
    "covariance_mean",
    "detect_artifacts_riemann",
    "exp_map",
    "log_map",
    "map_tangent_space",
    "riemannian_distance",
    "tangent_space_vectorize",
]
