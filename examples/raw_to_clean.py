"""From a raw recording to a clean one by artifact subspace reconstruction.

Three minutes of EEG with blinks, muscle bursts, electrode pops and movements, mains
hum, drifts and one channel that records nothing but noise. They are checked and
filtered, the hum is taken off, the bad channel found, bursts are replaced by what the
rest of the channels predicts, and the bad channel by what its neighbours say. The first
minute is rest, and tells what is usual. What comes out is compared with the truth.

    python examples/raw_to_clean.py [folder for the figures]
"""

import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import mne
import numpy as np

import meegic
from meegic.clean.quality import compute_quality
from meegic.figures.clean import plot_cleaned, plot_cleaned_spectra, plot_repairs
from meegic.figures.style import open_axes
from meegic.preprocessing.filter import apply_filter, design_filter
from meegic.simulation.asr_benchmark import KINDS, simulate_artifacts

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
FOLDER.mkdir(parents=True, exist_ok=True)
SFREQ, REST_S, HIGH_PASS_HZ, LINE_HZ = 250.0, 60.0, 1.0, 50.0
mne.set_log_level("error")

# --- A recording whose truth is known -------------------------------------------------
montage = mne.channels.make_standard_montage("biosemi32")
names = montage.ch_names
places = montage.get_positions()["ch_pos"]
parts = simulate_artifacts(
    np.array([places[name] for name in names]),
    sfreq=SFREQ,
    duration_s=180.0,
    lead_s=REST_S,
)
rng = np.random.default_rng(0)
n_channels, n_times = parts.data.shape
seconds = np.arange(n_times) / SFREQ
hum = rng.uniform(1e-6, 5e-6, (n_channels, 1)) * np.sin(2 * np.pi * LINE_HZ * seconds)
drift = 1e-7 * rng.normal(size=(n_channels, n_times)).cumsum(axis=1)
data = parts.data + hum + drift
broken = "Cz"
data[names.index(broken)] = 3e-5 * rng.normal(size=n_times)

info = mne.create_info(names, SFREQ, "eeg")
raw = mne.io.RawArray(data, info)
raw.set_montage(montage)

# --- Check, filter, take the hum off, find the bad channel ----------------------------
findings = meegic.check_recording(raw)
print("check:", findings.verdict)
assert findings.ok

filtered = meegic.filter_recording(raw, HIGH_PASS_HZ, None)

calm = meegic.remove_line(filtered, LINE_HZ)
bads = meegic.find_bads(calm)
print("bad channels:", bads.describe())
assert bads.names == [broken]
filtered.info["bads"] = calm.info["bads"] = bads.names

# --- Replace bursts by what the other channels predict --------------------------------
asr = meegic.ASR(cutoff=20.0, calibration=calm.copy().crop(0, REST_S))
repaired = asr.fit_transform(calm)
print(asr)
print(f"repaired: {100 * asr.report_['eeg'].repaired:.0f} % of the time")
print("annotations:", repaired.annotations.count())
assert repaired.times.size == raw.times.size  # nothing is cut

cleaned = meegic.interpolate_bad_channels(repaired)
assert cleaned.info["bads"] == []

# --- What changed, as seen without the truth ------------------------------------------
quality = meegic.compare_recordings(filtered, cleaned, line_freq=LINE_HZ)["eeg"]
print(
    f"line above its surroundings: {quality.line_noise_db.before:.1f} -> "
    f"{quality.line_noise_db.after:.1f} dB; largest value: "
    f"{1e6 * quality.peak.before:.0f} -> {1e6 * quality.peak.after:.0f} µV; "
    f"alpha power kept: {100 * quality.band_ratio['alpha']:.0f} %"
)
assert quality.line_noise_db.before > 10 > 1 > quality.line_noise_db.after

# --- What changed, compared with the truth --------------------------------------------
# The truth is taken through the same high-pass: what that removes is no error of ASR.
wanted = mne.io.RawArray(
    apply_filter(parts.truth, design_filter(SFREQ, l_freq=HIGH_PASS_HZ)), cleaned.info
)
kinds = dict(zip(KINDS, parts.masks, strict=True))


def score(result):
    """Compare the channels that were recorded with the truth."""
    before, after, truth = (
        one.copy().drop_channels([broken]).get_data()
        for one in (filtered, result, wanted)
    )
    return compute_quality(
        before, after, SFREQ, mask=parts.mask, truth=truth, kinds=kinds
    ).truth


scores = score(cleaned)
for kind, change in scores.snr_db.items():
    print(f"{kind:<7s} {change.before:6.1f} -> {change.after:5.1f} dB")
error = scores.clean_error
print(
    f"error away from artifacts: {error.before:.2f} -> {error.after:.2f} of the truth"
)
assert scores.snr_db["all"].after > 10 > -10 > scores.snr_db["all"].before
assert error.after < error.before

likeness = np.corrcoef(cleaned.get_data(broken)[0], wanted.get_data(broken)[0])[0, 1]
print(f"{broken}, interpolated: r = {likeness:.2f} with what it should have recorded")
assert likeness > 0.8

# --- Higher and lower cutoffs ---------------------------------------------------------
# A cutoff says how many standard deviations above its usual size a component may rise.
# Low ones take brain activity away, and are warned about; high ones leave artifacts.
cutoffs = (5.0, 10.0, 20.0, 40.0, 80.0)
in_artifacts, elsewhere = [], []
for cutoff in cutoffs:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", meegic.DataWarning)
        other = meegic.ASR(cutoff=cutoff, calibration=asr.calibration)
        found = score(other.fit_transform(calm))
    assert bool(said) == (cutoff < 10)
    in_artifacts.append(found.snr_db["all"].after)
    elsewhere.append(-20 * np.log10(found.clean_error.after))
    print(
        f"cutoff {cutoff:2g}: {in_artifacts[-1]:5.1f} dB in artifacts, "
        f"{elsewhere[-1]:5.1f} dB elsewhere"
    )
assert 10 <= cutoffs[np.argmax(in_artifacts)] <= 40
assert elsewhere[0] < elsewhere[2] - 6  # a cutoff of 5 spoils what was clean

# --- Figures --------------------------------------------------------------------------
shown = {"start": 90.0, "duration": 12.0}
plot_cleaned(filtered, cleaned, truth=wanted, **shown).savefig(
    FOLDER / "raw_to_clean_traces.png", dpi=110
)
plot_repairs(asr.report_, SFREQ, n_dims={"eeg": n_channels - 1}).savefig(
    FOLDER / "raw_to_clean_repairs.png", dpi=110
)
figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4), width_ratios=[1.5, 1], layout="constrained"
)
plot_cleaned_spectra(filtered, cleaned, truth=wanted, ax=left)
open_axes(right, size=(4, 4))
right.semilogx(cutoffs, in_artifacts, "o-", color="#c2410c", label="in artifacts")
right.semilogx(cutoffs, elsewhere, "s-", color="#2563a8", label="elsewhere")
right.set_xticks(cutoffs, [f"{one:g}" for one in cutoffs])
right.minorticks_off()
right.set(xlabel="Cutoff (standard deviations)", ylabel="SNR after cleaning (dB)")
right.legend(frameon=False, fontsize=8, loc="lower center")
figure.savefig(FOLDER / "raw_to_clean_spectra.png", dpi=110)
print("figures in", FOLDER)
