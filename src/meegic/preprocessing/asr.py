"""Artifact subspace reconstruction; the code is in `meegic.clean`."""

from meegic.clean.asr import ReconstructionReport, apply_asr, apply_reported_asr
from meegic.clean.asr_calibration import calibrate_asr
from meegic.clean.asr_plan import ASROptions
from meegic.clean.asr_state import ASRState, read_asr_state
from meegic.clean.asr_stream import ASRStream

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
