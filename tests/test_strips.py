"""Work in strips: every row once, results in order, errors told, threads no difference."""

import threading

import pytest

from beholder.strips import AHEAD, cut, run, stream


@pytest.mark.parametrize(("height", "rows"), [(1, 4), (4, 4), (5, 4), (17, 3)])
def test_strips_cover_every_row_once(height, rows):
    strips = cut(height, rows, before=2, after=3)
    assert [r for s in strips for r in range(s.first, s.last)] == list(range(height))
    for s in strips:
        assert s.top == max(s.first - 2, 0)
        assert s.bottom == min(s.last + 3, height)


@pytest.mark.parametrize("threads", [0, 1, 2, 7])
def test_results_are_in_order(threads):
    assert run(lambda n: n * n, range(50), threads) == [n * n for n in range(50)]


def test_threads_work_at_once():
    together = threading.Barrier(2, timeout=20)  # it breaks unless two are there
    assert run(lambda n: together.wait() in (0, 1) and n, range(1, 3), 2) == [1, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_errors_are_raised(threads):
    def work(n):
        if n == 5:
            raise ValueError("five")
        return n

    with pytest.raises(ValueError, match="five"):
        run(work, range(20), threads)


def test_runs_may_stand_in_runs():
    """More of them than threads there are: none may wait for one that cannot begin."""
    found = run(lambda n: sum(run(lambda m: n * m, range(5), 3)), range(60), 60)
    assert found == [10 * n for n in range(60)]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_is_in_order_and_takes_items_as_it_needs_them(workers):
    taken = []

    def items():
        for n in range(40):
            taken.append(n)
            yield n, n + 1

    found = stream(lambda a, b: a * b, items(), workers, "test-stream")
    assert next(found) == 0
    assert len(taken) == AHEAD * workers
    assert list(found) == [n * (n + 1) for n in range(1, 40)]
    assert not [t for t in threading.enumerate() if t.name.startswith("test-stream")]
