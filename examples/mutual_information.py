"""How independent are the sources? AMICA beside extended Infomax and FastICA.

Sources of an ICA should tell nothing of each other. How near it comes say the mutual
information of pairs, before and after; all that the unmixing took away (MIR); and how
many maps look like the field of one dipole. Each takes any ICA of MNE. The true mixing
is known here, so there is the Amari distance from it too.

    python examples/mutual_information.py [folder for the figures]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mne
import numpy as np
from matplotlib.colors import LogNorm

import meegic

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
FOLDER.mkdir(parents=True, exist_ok=True)
mne.set_log_level("error")

# --- One recording, three decompositions ----------------------------------------------
raw, truth = meegic.simulate_recording(
    "eeg19",
    n_bad_channels=0,
    artifacts=("blink", "saccade", "ecg", "muscle", "line"),
)
raw.pick("eeg").filter(2.0, None)

ICA = mne.preprocessing.ICA
icas = {
    "AMICA": meegic.AmicaICA(random_state=0, verbose=False).fit(raw).get_mne_ica(),
    "Infomax": ICA(method="infomax", fit_params={"extended": True}, random_state=0),
    "FastICA": ICA(method="fastica", random_state=0),
}
for name in ("Infomax", "FastICA"):
    icas[name].fit(raw)

# --- Scores ---------------------------------------------------------------------------
n = len(raw.ch_names)
print(f"{len(raw.times)} samples, {len(raw.times) / n**2:.0f} for each weight")
print(f"{'':<9s}{'MIR':>12s}{'pairs before':>14s}{'after':>9s}", end="")
print(f"{'dipolar':>10s}{'Amari':>8s}")
pairs, dipoles = {}, {}
for name, ica in icas.items():
    mir = meegic.score_mir(ica, raw)
    pmi = meegic.score_pmi(ica, raw)
    dipoles[name] = meegic.score_dipolarity(ica, raw, method="dipole")
    pairs[name] = meegic.score_mutual_information(ica, raw, bias="miller-madow")
    unmixing = ica.unmixing_matrix_ @ ica.pca_components_ / ica.pre_whitener_.T
    distance = meegic.amari_distance(unmixing, truth.mixing[0])
    print(
        f"{name:<9s}{mir.kbit_per_s:>5.2f} kbit/s{pmi.before:>10.4f} bit"
        f"{pmi.after:>9.4f}{dipoles[name].count_below(10):>5d} of {n}{distance:>8.3f}"
    )
    assert pmi.after < pmi.before / 10
    assert dipoles[name].count_below(10) > 0.8 * n
    assert distance < 0.1
# All three find these sources: differences in the last digits say little.

# --- Figure ---------------------------------------------------------------------------
before = meegic.compute_mutual_information(raw.get_data(), bias="miller-madow")
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, (name, nats) in zip(axes, {"channels": before, **pairs}.items(), strict=True):
    bits = nats / np.log(2)
    np.fill_diagonal(bits, np.nan)  # a signal and itself
    image = ax.imshow(np.maximum(bits, 1e-3), cmap="magma", norm=LogNorm(1e-3, 2.0))
    ax.set_title(f"{name}: mean {np.nanmean(bits):.4f} bit", fontsize=10)
    ax.set(xlabel="channel" if name == "channels" else "component")
figure.colorbar(image, ax=axes, label="Mutual information (bit)", shrink=0.8)
figure.savefig(FOLDER / "mutual_information_pairs.png", dpi=110)

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for color, (name, fits) in zip(
    ("#c2410c", "#2563a8", "#00798c"), dipoles.items(), strict=True
):
    percent = np.sort(100 * fits.residual_variance)
    ax.step(percent, np.arange(1, n + 1), where="post", color=color, label=name)
for limit in (5, 10, 15):
    ax.axvline(limit, color="#8a97a3", lw=0.8, ls=(0, (2, 2)))
ax.set(
    xlabel="Residual variance of one dipole (%)", ylabel="Components below",
    xscale="log", ylim=(0, n + 0.5),
)  # fmt: skip
ax.set_yticks(range(0, n + 1, 3))
ax.legend(frameon=False, loc="lower right")
ax.spines[["top", "right"]].set_visible(False)
figure.savefig(FOLDER / "mutual_information_dipoles.png", dpi=110)
print("figures in", FOLDER)
