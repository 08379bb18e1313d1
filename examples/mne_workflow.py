"""AMICA in a plain MNE workflow: from a raw recording to an evoked response.

One model, as with `mne.preprocessing.ICA`: filter, fit, look, find artifacts, remove
them, save, and go on with epochs. Each model is a true MNE object, so whatever takes an
ICA takes it.

    python examples/mne_workflow.py [folder for the figures]
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
mne.set_log_level("error")

# --- A recording with blinks, eye movements, heart beats, muscles and mains hum -------
raw, truth = meegic.simulate_recording("eeg32", random_state=0)
raw.info["bads"] = list(truth.bad_channels)  # as found by looking at it
raw.filter(0.5, None)

# --- Fit to a copy without slow drifts; bad channels are left out by themselves -------
filtered = raw.copy().filter(2.0, None)
ica = meegic.AmicaICA(random_state=0, verbose=False).fit(filtered, picks="eeg")
print(ica)
mne_ica = ica.get_mne_ica()
assert isinstance(mne_ica, mne.preprocessing.ICA)

# --- Find what is not brain -----------------------------------------------------------
eyes, eye_scores = ica.find_bads_eog(filtered)
heart, _ = ica.find_bads_ecg(filtered)
muscle, _ = ica.find_bads_muscle(filtered)
for what, found in (("eyes", eyes), ("heart", heart), ("muscles or hum", muscle)):
    print(f"{what:<14s} components {[int(one) for one in found]}")
mne_ica.exclude = sorted({int(one) for one in eyes + heart + muscle})

# The truth says which components they are.
good = [truth.ch_names.index(name) for name in mne_ica.ch_names]
match = meegic.match_components(truth.mixing[0][good], mne_ica.get_components())
artifacts = [k for k, kind in enumerate(truth.kinds) if kind != "brain"]
assert set(match.order[artifacts]) <= set(mne_ica.exclude)

# --- Remove it: from the recording with its slow parts, which was not fitted ----------
cleaned = ica.apply(raw, copy=True)

# --- Save and load; MNE's own file holds one model ------------------------------------
with tempfile.TemporaryDirectory() as folder:
    path = ica.save(Path(folder) / "recording")
    again = meegic.AmicaICA.load(path).apply(raw, copy=True)
    mne_ica.save(Path(folder) / "recording-ica.fif")
    theirs = mne.preprocessing.read_ica(Path(folder) / "recording-ica.fif")
    by_mne = theirs.apply(raw.copy())
assert np.array_equal(again.get_data(), cleaned.get_data())
assert np.allclose(by_mne.get_data(), cleaned.get_data(), rtol=0, atol=1e-15)
print("loaded files clean alike: True")


# --- Epochs and the evoked response, as ever ------------------------------------------
def average(recording: mne.io.BaseRaw) -> mne.Evoked:
    """Average over the stimuli."""
    events, kinds = mne.events_from_annotations(recording)
    epochs = mne.Epochs(recording, events, kinds, -0.2, 0.6, preload=True)
    return epochs.average().pick("eeg", exclude="bads")


brain = raw.copy().pick(truth.ch_names)  # what only the brain gives
brain.load_data()[:] = mne.filter.filter_data(
    truth.project("brain"), truth.sfreq, 0.5, None
)
evoked = {
    "before": average(raw),
    "after": average(cleaned),
    "brain alone": average(brain),
}
wanted = evoked["brain alone"].data
error = {
    name: np.linalg.norm(evoked[name].data - wanted) / np.linalg.norm(wanted)
    for name in ("before", "after")
}
for name, value in error.items():
    print(f"{name:<7s} error {value:.2f} of the brain's evoked response")
assert error["after"] < error["before"] / 2

# --- Figures --------------------------------------------------------------------------
figure = ica.plot_components(filtered, ncols=8, nrows=4, show=False)
figure.savefig(FOLDER / "mne_workflow_components.png", dpi=90)

figure = ica.plot_scores(
    eye_scores, exclude=eyes, labels=["VEOG", "HEOG"], title="Eyes", show=False
)
figure.savefig(FOLDER / "mne_workflow_scores.png", dpi=110)

blink = int(eyes[0])
(figure,) = ica.plot_properties(filtered, picks=[blink], show=False)
figure.savefig(FOLDER / "mne_workflow_properties.png", dpi=110)

figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, (name, one) in zip(axes, evoked.items(), strict=True):
    one.plot(axes=ax, show=False, spatial_colors=True, selectable=False)
    ax.set_title(name)
    for text in list(ax.texts):
        text.remove()
figure.savefig(FOLDER / "mne_workflow_evoked.png", dpi=110)
print("figures in", FOLDER)
