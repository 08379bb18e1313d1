"""Remove blinks from a recording of two conditions with two AMICA models.

Brain sources lie elsewhere in each condition; eyes, heart and muscles stay where they
are. AMICA is told neither where the conditions begin nor that there are two blocks of
each. It finds a model for each of them, a blink component in each model, and what is
left after cleaning is compared with the truth.

    python examples/artifact_removal.py [folder for the figures]
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
HIGH_PASS_HZ = 1.0
mne.set_log_level("error")

# --- A recording whose truth is known: 2 minutes, the conditions take turns -----------
raw, truth = meegic.simulate_recording(
    "eeg19", n_models=2, n_bad_channels=0, artifacts=("blink", "ecg", "muscle")
)
raw.filter(HIGH_PASS_HZ, None)
raw.set_annotations(  # only to show them in the overview
    mne.Annotations(
        truth.block_starts / truth.sfreq,
        0,
        [f"condition {'AB'[one]}" for one in truth.block_models],
    )
)
before = raw.get_data("eeg")
blinks = mne.filter.filter_data(
    truth.project("eye blink"), truth.sfreq, HIGH_PASS_HZ, None
)
wanted = before - blinks  # what a perfect cleaning would leave

# --- Fit, and see which model holds when ----------------------------------------------
ica = meegic.AmicaICA(n_models=2, random_state=0, verbose=False).fit(raw)
print(ica)

holds = ica.predict_proba(raw, smooth="hmm").argmax(axis=0)
lengths = np.diff([*truth.block_starts, len(holds)])
condition = np.repeat(truth.block_models, lengths)
right = max(np.mean(holds == condition), np.mean(holds != condition))  # any order
switches = np.flatnonzero(np.diff(holds)) + 1
print(f"right model: {100 * right:.2f} % of the samples")
print("switches found at", (switches / truth.sfreq).round(2).tolist(), "s")
assert right > 0.99
assert len(switches) == len(truth.block_starts) - 1

# --- Find the blink in each model -----------------------------------------------------
# Each model is judged by the samples that it explains. Elsewhere its sources mean
# nothing, and would only dilute the correlation.
for model_idx in range(2):
    found, scores = ica.find_bads_eog(
        raw, model_idx=model_idx, ch_name="VEOG", measure="correlation", threshold=0.5
    )
    rest = np.delete(np.abs(scores), found).max()
    print(
        f"model {model_idx}: blink component {[int(one) for one in found]}, "
        f"|r| = {abs(scores[found[0]]):.3f}, all others at most {rest:.3f}"
    )
    assert len(found) == 1
    ica.get_mne_ica(model_idx).exclude = found

# --- Remove it: by the most probable model, or by both as probable as they are --------
single = meegic.AmicaICA(random_state=0, verbose=False).fit(raw)
found, _ = single.find_bads_eog(raw, measure="correlation", threshold=0.5)
single.get_mne_ica().exclude = found

cleaned = {
    "nothing removed": before,
    "one model": single.apply(raw, copy=True).get_data("eeg"),
    "two models, hard": ica.apply(raw, mode="hard", copy=True).get_data("eeg"),
    "two models, soft": ica.apply(raw, mode="soft", copy=True).get_data("eeg"),
}
error = {
    name: np.linalg.norm(data - wanted) / np.linalg.norm(wanted)
    for name, data in cleaned.items()
}
for name, value in error.items():
    print(f"{name:<17s} error {value:.3f} of the blink-free recording")
assert error["two models, hard"] < error["one model"] < error["nothing removed"] / 4
assert error["two models, soft"] < error["one model"]

# --- Figures --------------------------------------------------------------------------
ica.plot_models(raw, smooth="hmm").savefig(FOLDER / "artifact_removal_models.png")

middle = round(truth.sources[truth.select("eye blink")[0]].argmax())
shown = slice(max(middle - round(3 * truth.sfreq), 0), middle + round(3 * truth.sfreq))
names = ["Fp1", "Fz", "C3", "O1"]
after = cleaned["two models, soft"]
figure, axes = plt.subplots(
    len(names), 1, figsize=(9, 6), sharex=True, layout="constrained"
)
for ax, name in zip(axes, names, strict=True):
    place = truth.ch_names.index(name)
    for data, style in (
        (before, {"color": "#d1495b", "lw": 0.8, "label": "before"}),
        (wanted, {"color": "#9aa7b3", "lw": 3.0, "label": "truth without blinks"}),
        (after, {"color": "#22303c", "lw": 0.9, "label": "after"}),
    ):
        ax.plot(raw.times[shown], 1e6 * data[place, shown], **style)
    ax.set_ylabel(f"{name} (µV)")
    ax.spines[["top", "right"]].set_visible(False)
axes[-1].set(xlabel="Time (s)", xlim=raw.times[shown][[0, -1]])
axes[0].legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
figure.savefig(FOLDER / "artifact_removal_cleaned.png", dpi=110)
print("figures in", FOLDER)
