"""Who may compute in how many threads, and that it is taken back."""

from threading import Barrier, Thread

import pytest
from threadpoolctl import threadpool_info

from meegic.components.threads import one_blas_thread


def blas_threads():
    return {
        one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"
    }


@pytest.fixture
def usual():
    """The threads of BLAS; a limit set here would forbid other threads to set one."""
    found = blas_threads()
    if found == {1}:
        pytest.skip("BLAS has one thread here")
    return found


def test_limit_is_taken_back(usual):
    with one_blas_thread(), one_blas_thread():
        assert blas_threads() == {1}
    assert blas_threads() == usual
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == usual


def test_the_last_of_several_takes_it_back(usual):
    """The first begins, the second begins, the first ends, the second ends."""
    seen, step = [], Barrier(2, timeout=20)

    def first():
        with one_blas_thread():
            step.wait()
            step.wait()
        step.wait()

    def second():
        step.wait()
        with one_blas_thread():
            step.wait()
            step.wait()
            seen.append(blas_threads())

    threads = [Thread(target=one) for one in (first, second)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert seen == [{1}]
    assert blas_threads() == usual
