"""Work over threads is done once for every item, and its errors are raised."""

import threading

import pytest

from meegic.base import threads as threads_module
from meegic.base.threads import count_threads, spread_over_threads


@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_item_is_worked_on_once(monkeypatch, n_threads):
    monkeypatch.setattr(threads_module, "count_threads", lambda: n_threads)
    done = []
    spread_over_threads(done.append, iter(range(100)))
    assert sorted(done) == list(range(100))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_errors_of_the_work_are_raised(monkeypatch, n_threads):
    monkeypatch.setattr(threads_module, "count_threads", lambda: n_threads)
    with pytest.raises(ZeroDivisionError):
        spread_over_threads(lambda one: 1 / one, [1, 0])


def test_two_items_are_worked_on_at_a_time(monkeypatch):
    monkeypatch.setattr(threads_module, "count_threads", lambda: 2)
    threads_module._pool.cache_clear()
    meet = threading.Barrier(2, timeout=5)
    spread_over_threads(lambda _: meet.wait(), range(2))
    threads_module._pool.cache_clear()


def test_environment_lowers_the_number_of_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    count_threads.cache_clear()
    plain = count_threads()
    for text, wanted in (("1", 1), ("0", plain), ("many", plain), ("99999", plain)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        count_threads.cache_clear()
        assert count_threads() == wanted
    monkeypatch.undo()
    count_threads.cache_clear()
