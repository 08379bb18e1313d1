"""The words for what a component is, one vocabulary for all labellers."""

from dataclasses import dataclass

from meegic.base.checks import check_option


@dataclass(frozen=True)
class Vocabulary:
    """The classes that a network tells apart, in the order of its outputs.

    Attributes
    ----------
    method : str
        The network's name.
    classes : tuple of str
        Our word for every class; it stands in results, files, pages and commands.
    mne_keys : tuple of str
        MNE's word for every class, a key of ``ica.labels_``. Two classes may share one.
    good : frozenset of str
        The classes that are no artifact.
    """

    method: str
    classes: tuple[str, ...]
    mne_keys: tuple[str, ...]
    good: frozenset[str]


VOCABULARIES = {
    one.method: one
    for one in (
        Vocabulary(
            "iclabel",
            classes=(
                *("brain", "muscle artifact", "eye blink", "heart beat"),
                *("line noise", "channel noise", "other"),
            ),
            mne_keys=(
                *("brain", "muscle", "eog", "ecg"),
                *("line_noise", "ch_noise", "other"),
            ),
            good=frozenset({"brain", "other"}),
        ),
        # The order is that of the training: 1 blink, 2 heart, 3 saccade. Versions of
        # mne-icalabel up to 0.8, and some of its pages, have 1 and 3 swapped.
        Vocabulary(
            "megnet",
            classes=("brain/other", "eye blink", "heart beat", "eye movement"),
            mne_keys=("brain_other", "eog", "ecg", "eog"),
            good=frozenset({"brain/other"}),
        ),
    )
}


def get_vocabulary(method: object) -> Vocabulary:
    """Find the classes of a network.

    Parameters
    ----------
    method : 'iclabel' | 'megnet'
        The network.

    Returns
    -------
    Vocabulary
        Its classes.

    Examples
    --------
    >>> get_vocabulary("megnet").classes
    ('brain/other', 'eye blink', 'heart beat', 'eye movement')
    """
    if not isinstance(method, str):
        raise TypeError(
            f"method must be the name of a network, but got {method!r}. Pass 'iclabel' "
            "or 'megnet'."
        )
    check_option("method", method, tuple(VOCABULARIES))
    return VOCABULARIES[method]
