"""Writing labels into MNE's ICA, so that a second time leaves no trace of the first."""

import mne
import numpy as np
from jaxtyping import Float

from meegic.labels.classes import get_vocabulary


def write_labels(
    ica: mne.preprocessing.ICA,
    method: str,
    proba: Float[np.ndarray, "components classes"],
) -> None:
    """Write probabilities and labels into an ICA, in place.

    Every component stands under one key of the network, or under none where it has no
    label. Keys of others, such as those of ``find_bads_eog`` with a channel, stay.

    Parameters
    ----------
    ica : mne.preprocessing.ICA
        Fitted; its ``labels_`` and ``labels_scores_`` are replaced.
    method : 'iclabel' | 'megnet'
        The network.
    proba : array, shape (n_components, n_classes)
        What it said.

    Examples
    --------
    >>> ica = mne.preprocessing.ICA()
    >>> ica.labels_ = {}
    >>> write_labels(ica, "megnet", np.array([[0.9, 0, 0.1, 0], [0, 0.2, 0, 0.8]]))
    >>> ica.labels_
    {'brain_other': [0], 'eog': [1], 'ecg': []}
    """
    keys = np.array(get_vocabulary(method).mne_keys)
    known = np.isfinite(proba).all(axis=1)
    given = keys[np.argmax(proba, axis=1)]
    ica.labels_scores_ = np.array(proba)
    for key in dict.fromkeys(keys.tolist()):
        ica.labels_[key] = np.flatnonzero(known & (given == key)).tolist()
