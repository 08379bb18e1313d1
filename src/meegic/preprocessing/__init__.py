"""The public names of preprocessing, under the import paths that users know."""

import lazy_loader as lazy

_NAMES = {
    "artifact": [
        *("covariance_mean", "detect_artifacts_riemann", "exp_map", "log_map"),
        *("map_tangent_space", "riemannian_distance", "tangent_space_vectorize"),
    ],
    "asr": [
        *("ASROptions", "ASRState", "ASRStream", "ReconstructionReport"),
        *("apply_asr", "apply_reported_asr", "calibrate_asr", "read_asr_state"),
    ],
    "filter": [
        *("Filter", "apply_filter", "butter_sos", "design_filter", "design_notch"),
        *("filter_data", "lfilter"),
    ],
    "ica": ["FastICA"],
    "interpolate": ["make_spline_operator", "spherical_spline_interpolate"],
    "resample": ["resample_minimal", "resample_poly"],
}

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, submodules=[*_NAMES], submod_attrs=_NAMES
)
