"""One vocabulary for all labellers."""

import pytest

from meegic.base.errors import OptionError
from meegic.labels.classes import VOCABULARIES, get_vocabulary


@pytest.mark.parametrize("method", VOCABULARIES)
def test_every_class_has_one_word_and_a_key_of_mne(method):
    words = get_vocabulary(method)
    assert words.method == method
    assert len(set(words.classes)) == len(words.classes) == len(words.mne_keys)
    assert words.good < set(words.classes)


def test_networks_call_the_same_thing_by_the_same_word():
    iclabel, megnet = get_vocabulary("iclabel"), get_vocabulary("megnet")
    assert set(iclabel.classes) & set(megnet.classes) == {"eye blink", "heart beat"}
    keys = dict(zip(iclabel.classes, iclabel.mne_keys, strict=True))
    others = dict(zip(megnet.classes, megnet.mne_keys, strict=True))
    for word in ("eye blink", "heart beat"):
        assert keys[word] == others[word]


def test_misspelled_network_is_refused_with_a_suggestion():
    with pytest.raises(
        OptionError,
        match=r"method must be 'iclabel' or 'megnet', but got 'icalabel'\. Did you",
    ):
        get_vocabulary("icalabel")


@pytest.mark.parametrize("method", [None, 1, ["iclabel"]])
def test_method_that_is_no_text_is_refused(method):
    with pytest.raises(TypeError, match="method must be the name of a network"):
        get_vocabulary(method)
