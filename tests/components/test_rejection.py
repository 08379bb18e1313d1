"""Which samples are rejected, and when that is too many."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from meegic.base.errors import DataWarning, InputError
from meegic.components.options import AmicaOptions
from meegic.components.rejection import check_kept, find_kept

EQUAL = np.ones(10_000)
ALL = np.ones(1000, dtype=bool)


@pytest.fixture
def values():
    values = np.random.default_rng(0).normal(-50, 2, 1000)
    values[[3, 500]] = -500, -70
    return values


def test_statistics_are_those_of_the_kept_samples(values):
    options = AmicaOptions(do_reject=True, reject_sigma=3.0)
    first = find_kept(values, ALL, EQUAL[: len(values)], options)
    bound = values.mean() - 3 * values.std()
    assert_array_equal(first, values >= bound)
    assert not first[3]
    assert first[500]  # hidden by the other, until that is gone
    second = find_kept(values, first, EQUAL[: len(values)], options)
    bound = values[first].mean() - 3 * values[first].std()
    assert_array_equal(second, first & (values >= bound))
    assert not second[500]


def test_the_mask_only_shrinks(values):
    kept = ALL.copy()
    kept[10] = False
    values[10] = 0.0  # now the most probable of all
    assert not find_kept(
        values, kept, EQUAL[: len(values)], AmicaOptions(reject_sigma=2.0)
    )[10]


def test_pyamica_takes_all_samples_and_another_divisor():
    values = np.array([0.0, 0.0, 0.0, -8.0])
    sigma = 6 / 3.8  # of ddof 0 the deviation is 3.46, of ddof 1 it is 4
    whole = np.ones(4, dtype=bool)
    ours = AmicaOptions(reject_sigma=sigma)
    seed = AmicaOptions(reject_sigma=sigma, compat="pyamica")
    assert_array_equal(
        find_kept(values, whole, EQUAL[: len(values)], ours), [1, 1, 1, 0]
    )
    assert_array_equal(
        find_kept(values, whole, EQUAL[: len(values)], seed), [1, 1, 1, 1]
    )
    kept = np.array([True, True, False, True])
    far = np.array([0.0, -1.0, -1000.0, -5.0])
    ours = AmicaOptions(reject_sigma=1.0)
    seed = AmicaOptions(reject_sigma=1.0, compat="pyamica")
    assert_array_equal(find_kept(far, kept, EQUAL[: len(far)], ours), [1, 1, 0, 0])
    assert_array_equal(find_kept(far, kept, EQUAL[: len(far)], seed), [1, 1, 0, 1])


def test_too_few_samples_left_are_refused():
    weights = np.ones(1000)
    weights[:500] = 0
    kept = ALL.copy()
    kept[507:] = False  # seven with weight are left
    with pytest.raises(InputError, match="leaves 7 samples, but 4 components need 8"):
        check_kept(kept, weights, 4)


def test_many_rejected_samples_are_said():
    weights = np.ones(1000)
    kept = ALL.copy()
    kept[:200] = False
    check_kept(kept, weights, 4)
    kept[200] = False
    with pytest.warns(DataWarning, match="20 % of the samples are rejected"):
        check_kept(kept, weights, 4)
    weights[:201] = 0  # what has no weight is not rejected
    check_kept(kept, weights, 4)
