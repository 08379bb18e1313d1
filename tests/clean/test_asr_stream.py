"""A stream gives the bits of the whole recording, however it is cut."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from clean.asr_recordings import CUTOFF, add_bursts, make_clean
from meegic.base.errors import InputError, ShapeError
from meegic.preprocessing.asr import ASROptions, ASRStream, apply_asr, calibrate_asr

OPTIONS = ASROptions(window_size=50, step_size=20)


@pytest.fixture(scope="module", params=[None, 90.0])
def state(request):
    return calibrate_asr(make_clean(), CUTOFF, sfreq=request.param)


@pytest.fixture(scope="module")
def spoiled():
    return add_bursts(make_clean(n_times=1507))


def stream_pieces(data, state, cuts):
    stream = ASRStream(state, OPTIONS)
    pieces = [stream.push(one) for one in np.split(data, cuts, axis=1)]
    return [*pieces, stream.finish()]


@pytest.mark.parametrize(
    "cuts", [[], [1], [700, 700, 703], range(1, 1507, 97), range(440, 480)]
)
def test_pieces_of_any_length_give_the_bits_of_the_whole(state, spoiled, cuts):
    wanted = apply_asr(spoiled, state, 50, 20)
    actual = np.hstack(stream_pieces(spoiled, state, list(cuts)))
    assert_array_equal(actual, wanted)
    assert np.abs(wanted - spoiled).max() > 100


def test_no_sample_of_a_piece_comes_out_unprocessed(state, spoiled):
    # Other programs give the last samples of every piece out as they came.
    pieces = stream_pieces(spoiled, state, [450, 500])
    cleaned = np.hstack(pieces)
    assert np.abs(cleaned[:, 420:530]).max() < 30
    assert pieces[1].shape[1] <= 60


def test_output_lags_behind_by_no_more_than_the_latency(state, spoiled):
    stream = ASRStream(state, OPTIONS)
    assert stream.latency == 45
    taken = given = 0
    for piece in np.split(spoiled, range(11, 1507, 11), axis=1):
        taken, given = taken + piece.shape[1], given + stream.push(piece).shape[1]
        assert 0 <= taken - given < stream.latency
    assert given + stream.finish().shape[1] == 1507


def test_two_streams_of_one_state_do_not_meet(state, spoiled):
    first, second = ASRStream(state, OPTIONS), ASRStream(state, OPTIONS)
    first.push(spoiled[:, :500])
    wanted = second.push(spoiled[:, :900])
    assert_array_equal(ASRStream(state, OPTIONS).push(spoiled[:, :900]), wanted)


def test_finished_streams_are_refused(state, spoiled):
    stream = ASRStream(state, OPTIONS)
    stream.push(spoiled)
    stream.finish()
    for use in (stream.finish, lambda: stream.push(spoiled)):
        with pytest.raises(InputError, match=r"stream is finished\. Open a new one"):
            use()


def test_row_36_stream_shorter_than_a_window_is_refused(state, spoiled):
    stream = ASRStream(state, OPTIONS)
    stream.push(spoiled[:, :49])
    with pytest.raises(InputError, match="at least 50 times, one window, but have 49"):
        stream.finish()


def test_other_channels_and_bad_samples_are_refused(state, spoiled):
    stream = ASRStream(state, OPTIONS)
    with pytest.raises(ShapeError, match=r"must have shape \(5, any\)"):
        stream.push(spoiled[:3])
    with pytest.raises(InputError, match="real numbers without a mask"):
        stream.push(spoiled + 1j)
    with pytest.raises(InputError, match="NaN or Inf: 1 values"):
        stream.push(np.where(spoiled == spoiled[2, 7], np.nan, spoiled))
    # A refused piece leaves the stream as it was.
    wanted = ASRStream(state, OPTIONS).push(spoiled)
    assert_array_equal(stream.push(spoiled), wanted)
