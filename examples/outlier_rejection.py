"""Let AMICA leave out samples that no model explains.

A recording gets fifteen short transients, as from a pulled cable: each lasts 0.2 s and
has a field of its own, so no component can hold them. With ``do_reject=True`` the fit
leaves out samples that are far less probable than the others. What that changes is
measured by the Amari distance from the true mixing, 0 for perfect separation.

    python examples/outlier_rejection.py [folder for the figures]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mne
import numpy as np

import meegic

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
FOLDER.mkdir(parents=True, exist_ok=True)
HEIGHT_UV, LENGTH, N_TRANSIENTS = 300, 50, 15
mne.set_log_level("error")

# --- A recording, and the same with transients ----------------------------------------
raw, truth = meegic.simulate_recording(
    "eeg19", n_bad_channels=0, artifacts=("blink", "ecg", "muscle")
)
raw.pick("eeg").filter(2.0, None)
clean = raw.get_data()
n_channels, n_times = clean.shape

rng = np.random.default_rng(0)
places = np.arange(LENGTH, n_times - LENGTH, 200)
onsets = np.sort(rng.choice(places, N_TRANSIENTS, replace=False))
dirty, hit = clean.copy(), np.zeros(n_times, dtype=bool)
time = np.arange(LENGTH) / truth.sfreq
for onset in onsets:
    span = slice(onset, onset + LENGTH)
    wave = np.hanning(LENGTH) * np.cos(2 * np.pi * rng.uniform(2, 8) * time)
    dirty[:, span] += 1e-6 * HEIGHT_UV * rng.normal(size=(n_channels, 1)) * wave
    hit[span] = True

# --- Three fits -----------------------------------------------------------------------
options = meegic.AmicaOptions()
rejecting = meegic.AmicaOptions(do_reject=True, reject_sigma=4.0)
models = {
    "without transients": meegic.fit_amica(clean, options, seed=0),
    "with transients": meegic.fit_amica(dirty, options, seed=0),
    "with, do_reject": meegic.fit_amica(dirty, rejecting, seed=0),
}
distance = {
    name: meegic.amari_distance(model.filters[0], truth.mixing[0])
    for name, model in models.items()
}
for name, value in distance.items():
    print(f"{name:<19s} Amari distance {value:.3f}")
assert distance["with, do_reject"] < 0.7 * distance["with transients"]

# --- Which samples were left out? -----------------------------------------------------
rejected = models["with, do_reject"].rejected
touched = [bool(rejected[onset : onset + LENGTH].any()) for onset in onsets]
print(f"transients noticed: {sum(touched)} of {N_TRANSIENTS}")
print(f"left out: {100 * rejected[hit].mean():.0f} % of their samples,")
print(f"          {100 * rejected[~hit].mean():.1f} % of all others")
assert all(touched)
assert rejected[~hit].mean() < 0.02

# Samples are judged one by one: where a transient begins, ends or crosses zero it is
# small, and stays. Spans that are known to be bad are better marked as such: they get
# no weight at all. (`AmicaICA` takes `do_reject` too.)
marked = mne.io.RawArray(dirty, raw.info)
marked.set_annotations(
    mne.Annotations(onsets / truth.sfreq, LENGTH / truth.sfreq, "BAD_transient")
)
ica = meegic.AmicaICA(random_state=0, verbose=False).fit(marked)
mne_ica = ica.get_mne_ica()
unmixing = mne_ica.unmixing_matrix_ @ mne_ica.pca_components_ / mne_ica.pre_whitener_.T
distance["with, marked as BAD"] = meegic.amari_distance(unmixing, truth.mixing[0])
print(f"with, marked as BAD Amari distance {distance['with, marked as BAD']:.3f}")
assert distance["with, marked as BAD"] < 0.7 * distance["with transients"]

# --- Figure ---------------------------------------------------------------------------
figure, (top, bottom) = plt.subplots(
    2, 1, figsize=(9, 5.5), height_ratios=[2, 1.4], layout="constrained"
)
middle = int(onsets[N_TRANSIENTS // 2])
shown = slice(middle - 250, middle + 250)
seconds = np.arange(n_times)[shown] / truth.sfreq
step = 150.0
for place in range(n_channels):
    top.plot(seconds, 1e6 * dirty[place, shown] - step * place, color="#22303c", lw=0.6)
top.fill_between(
    seconds, 0, 1, where=rejected[shown], color="#d1495b", alpha=0.35, lw=0,
    transform=top.get_xaxis_transform(), label="left out by do_reject",
)  # fmt: skip
top.set_yticks(-step * np.arange(n_channels), truth.ch_names, fontsize=7)
top.set(xlabel="Time (s)", xlim=seconds[[0, -1]], ylim=(-step * n_channels, step))
top.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
colors = ["#6a994e", "#d1495b", "#2563a8", "#00798c"]
bars = bottom.barh(list(distance), list(distance.values()), color=colors, height=0.6)
bottom.bar_label(bars, fmt="%.3f", padding=4, fontsize=9)
bottom.invert_yaxis()
bottom.set(
    xlabel="Amari distance from the truth", xlim=(0, 1.15 * max(distance.values()))
)
for ax in (top, bottom):
    ax.spines[["top", "right"]].set_visible(False)
figure.savefig(FOLDER / "outlier_rejection.png", dpi=110)
print("figure in", FOLDER)
