"""The default fit of the published recording: how good, and after how many passes."""

import numpy as np
import pytest

from meegic.components.amica import fit_amica

SEEDS = [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 10))]


@pytest.mark.parametrize("seed", SEEDS)
def test_default_fit_reaches_the_published_likelihood(shared, seed):
    data = np.fromfile(shared / "data/eeglab_data.fdt", "<f4")
    model = fit_amica(data.reshape(30504, 32).T.astype(float), seed=seed)
    assert model.log_likelihood >= -3.3968
    assert model.n_evals < 500
    assert model.converged
