"""Name components: by a network, by rules, and by a person; then clean by the names.

ICLabel says what each component is. Rules that look at the channels of eyes and heart,
at muscles and at the mains say so too, and where they disagree a person decides. What
was decided stands in a BIDS table, and what is bad there is removed.

    python examples/name_components.py [folder for the figures]
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

# --- A recording whose truth is known, prepared as ICLabel knows recordings -----------
raw, truth = meegic.simulate_recording("eeg32", random_state=0)
raw.info["bads"] = list(truth.bad_channels)  # as found by looking at it
raw.filter(1.0, 100.0)
raw.set_eeg_reference("average")

# --- Decompose, and ask the network ---------------------------------------------------
ica = meegic.AmicaICA(random_state=0, verbose=False).fit(raw, picks="eeg")
mne_ica = ica.get_mne_ica()
labels = meegic.label_components(raw, ica, "iclabel")
print(labels)
labels.plot().savefig(FOLDER / "name_components_labels.png", dpi=110)

# --- What each source is called: the component whose map is most like its own ---------
good = [truth.ch_names.index(name) for name in mne_ica.ch_names]
maps = truth.mixing[0][good] - truth.mixing[0][good].mean(axis=0)
likeness = np.abs(np.corrcoef(maps.T, labels.maps.T)[: len(maps.T), len(maps.T) :])
source = {kind: truth.select(kind) for kind in dict.fromkeys(truth.kinds)}
component = {kind: likeness[rows].argmax(axis=1) for kind, rows in source.items()}
for kind in ("eye blink", "eye movement", "muscle artifact", "line noise"):
    said = [labels.labels[one] for one in component[kind]]
    print(f"{kind:<15s} is called {', '.join(said)}")
    assert set(said) == {kind.replace("movement", "blink")}  # it has one word for eyes

# --- Ask rules as well, and see who disagrees -----------------------------------------
votes = meegic.combine_labels(raw, mne_ica, labels=labels, line_freq=50).votes
(heart,) = (int(one) for one in component["heart beat"])
for rule, vote in votes[heart].items():
    print(f"component {heart}: {rule:<7s} says {vote.label or '-'}, {vote.score:.2f}")
assert votes[heart]["iclabel"].label == "brain"  # the network errs here
assert votes[heart]["ecg"].label == "heart beat"  # the rule has seen the ECG

# --- Write all of it into a table, and correct it by hand -----------------------------
table_path = FOLDER / "sub-01_components.tsv"
meegic.write_components_tsv(mne_ica, table_path, labels=labels, author="example")
for _ in range(2):  # marking twice is marking once
    meegic.mark_component(heart, table_path, "manual", "heart beat", "a person")
table = meegic.read_components_tsv(table_path)
row = table.find(heart)
assert row is not None
print(
    f"table: component {heart} is {row['status']}: {row['label_manual']} for "
    f"{row['annotate_author']}, {row['label_auto']} for the network"
)
assert (row["label_auto"], row["ic_type"]) == ("brain", "heart beat")
assert len(table.decisions) == 1

# --- Remove what is bad there, and compare with the truth -----------------------------
bad = [int(one["component"]) for one in table.rows if one["status"] == "bad"]
artifacts = [one for kind in source if kind != "brain" for one in component[kind]]
print(f"removed: components {bad}")
assert bad == sorted(artifacts)
assert set(bad) == {*labels.exclude("keep-brain-other"), heart}


def prepare(data: np.ndarray) -> np.ndarray:
    """Filter and re-reference what is known of the recording, as the recording was."""
    data = mne.filter.filter_data(data[good], truth.sfreq, 1.0, 100.0)
    return data - data.mean(axis=0)


before = raw.get_data(mne_ica.ch_names)
wanted = before - prepare(truth.project(*(one for one in source if one != "brain")))
cleaned = {"nothing removed": before}
for name, exclude in (
    ("network alone", labels.exclude("keep-brain-other")),
    ("with the correction", bad),
):
    mne_ica.exclude = exclude
    cleaned[name] = ica.apply(raw, copy=True).get_data(mne_ica.ch_names)
error = {
    name: np.linalg.norm(data - wanted) / np.linalg.norm(wanted)
    for name, data in cleaned.items()
}
for name, value in error.items():
    print(f"{name:<19s} error {value:.3f} of the recording without artifacts")
assert error["with the correction"] < error["network alone"]
assert error["network alone"] < error["nothing removed"] / 2

# --- Figure ---------------------------------------------------------------------------
beat = round(truth.spans("heart beat")[10][0])
shown = slice(beat - round(2 * truth.sfreq), beat + round(2 * truth.sfreq))
ecg = raw.get_data("ecg")[0, shown]
strongest = int(np.abs(maps[:, source["heart beat"][0]]).argmax())
figure, (upper, lower) = plt.subplots(
    2, 1, figsize=(9, 4.5), sharex=True, layout="constrained"
)
for name, style in (
    ("network alone", {"color": "#d1495b", "lw": 0.9}),
    ("truth", {"color": "#9aa7b3", "lw": 3.0}),
    ("with the correction", {"color": "#22303c", "lw": 0.9}),
):
    data = cleaned.get(name, wanted)
    upper.plot(raw.times[shown], 1e6 * data[strongest, shown], label=name, **style)
upper.set_ylabel(f"{mne_ica.ch_names[strongest]} (µV)")
upper.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
lower.plot(raw.times[shown], 1e3 * ecg, color="#22303c", lw=0.9)
lower.set(xlabel="Time (s)", ylabel="ECG (mV)", xlim=raw.times[shown][[0, -1]])
for ax in (upper, lower):
    ax.spines[["top", "right"]].set_visible(False)
figure.savefig(FOLDER / "name_components_heart.png", dpi=110)
print("figures in", FOLDER)
