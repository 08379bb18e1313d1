"""Artifact subspace reconstruction; the code is in `meegic.clean`."""

from meegic.clean.asr import (
    ASROptions,
    ASRState,
    ASRStream,
    ReconstructionReport,
    apply_asr,
    apply_reported_asr,
    calibrate_asr,
    read_asr_state,
)

__all__ = [
    "ASROptions",
    "ASRState",
    "ASRStream",
    "ReconstructionReport",
    "apply_asr",
    "apply_reported_asr",
    "calibrate_asr",
    "read_asr_state",
]
