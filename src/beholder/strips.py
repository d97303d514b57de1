"""Work in parts, by several threads, in order: strips of one picture, or one picture after another."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4
"""Items of a stream under way for each worker: enough to keep all busy, few enough to keep memory flat."""


class Strip(NamedTuple):
    """Rows `first` to `last` of a result, and the rows `top` to `bottom` that are needed to work them out."""

    first: int
    last: int
    top: int
    bottom: int


def cut(height: int, rows: int, before: int = 0, after: int = 0) -> list[Strip]:
    """Strips of `rows` rows that cover `height`, with up to `before` and `after` rows more on either side."""
    firsts = range(0, height, rows)
    return [
        Strip(f, min(f + rows, height), max(f - before, 0), min(min(f + rows, height) + after, height)) for f in firsts
    ]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(os.cpu_count() or 1, 4), thread_name_prefix="beholder-strip")


if hasattr(os, "register_at_fork"):  # a forked child has the pool's queue and none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> list[Result]:
    """What `work` makes of every item, in their order, `threads` of them at once.

    The caller's thread works, too. The first error is raised when all have ended.
    """
    todo = list(items)
    if threads <= 1 or len(todo) <= 1:
        return [work(item) for item in todo]
    results: list[Result | None] = [None] * len(todo)
    left = iter(range(len(todo)))  # handed out one by one: a list iterator's next is atomic

    def go() -> None:
        for index in left:
            results[index] = work(todo[index])

    waiting = [_pool().submit(go) for _ in range(min(threads, len(todo)) - 1)]
    try:
        go()
    finally:
        for future in waiting:
            if not future.cancel():  # one that has not begun would find nothing left, and may wait for this thread
                future.result()
    return results  # type: ignore[return-value]  # every place is filled by now


def stream(work: Callable[..., Result], items: Iterable[tuple[Any, ...]], workers: int, name: str) -> Iterator[Result]:
    """What `work` makes of every tuple of arguments, in order, `workers` at once, however many there are.

    items are taken as they are needed. name: what the threads are called. They end with the generator.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    under_way: deque[Future[Result]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, *item))
            if len(under_way) >= AHEAD * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
