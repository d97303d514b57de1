"""Which pictures to score: files, folders, patterns and lists; and which reference belongs to which."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from beholder.errors import InputError, PairError, ReadError

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings by which a folder's pictures are found; a file that is named is read whatever its ending."""
LISTS = frozenset({".lst", ".txt"})
"""Endings of list files: one path a line, relative to the list; empty lines and lines with # are passed over."""

Partner = Callable[[str], str]


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key by which 2.jpg comes before 10.jpg, without regard to case first."""
    parts = re.split(r"(\d+)", text.lower())
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts] + [(2, 0, text)]


def walk(folder: str) -> Iterator[str]:
    """The pictures below a folder, in natural order, hidden files and folders left out.

    Raises ReadError for a folder that cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise ReadError(f"cannot list the folder {error.filename!r}: {error.strerror}; check its permissions")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted((f for f in folders if not f.startswith(".")), key=natural_key)
        for name in sorted(names, key=natural_key):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield os.path.join(root, name)  # noqa: PTH118


def expand(inputs: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    """Paths of all pictures that files, folders, patterns, list files and ``-`` (a list on stdin) stand for.

    A folder gives the pictures below it, in natural order. A named file is taken as it is, also when it is missing:
    scoring makes that an error row. Raises InputError for a folder or a pattern without pictures.
    """
    for given in inputs:
        name = os.fspath(given)
        if name == "-":
            yield from _lines(sys.stdin, "")
        elif Path(name).is_dir():
            yield from _some(walk(name), f"no pictures in the folder {name!r}: looked for {' '.join(sorted(SUFFIXES))}")
        elif glob.has_magic(name) and not os.path.lexists(name):
            found = sorted(glob.glob(name, recursive=True), key=natural_key)  # noqa: PTH207  # relative stays relative
            yield from _some(
                (p for f in found for p in (walk(f) if Path(f).is_dir() else [f])), f"no file matches {name!r}"
            )
        elif os.path.splitext(name)[1].lower() in LISTS:  # noqa: PTH122
            yield from _read_list(name)
        else:
            yield name


def _some(paths: Iterable[str], otherwise: str) -> Iterator[str]:
    empty = True
    for path in paths:
        empty = False
        yield path
    if empty:
        raise InputError(f"{otherwise}; check the path")


def _read_list(name: str) -> Iterator[str]:
    try:
        with open(name, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            yield from _lines(file, os.path.dirname(name))  # noqa: PTH120
    except OSError as error:
        raise ReadError(f"cannot read the list {name!r}: {error.strerror}; pass a file with one path a line") from error


def _lines(file: Iterable[str], folder: str) -> Iterator[str]:
    for line in file:
        path = line.strip("\r\n")
        if path.strip() and not path.startswith("#"):
            yield os.path.join(folder, path)  # noqa: PTH118


def partners(reference: str | os.PathLike[str], images: Iterable[str | os.PathLike[str]] = ()) -> Partner:
    """The function that finds an image's reference.

    reference: one file, the reference of every image, or a folder, in which the reference of an image is the picture
    with the same place and stem below the folder given as input, else the only one with the same stem; never the
    one at the same place in some order. images: the inputs, whose folders count. The function raises PairError for
    an image without a partner or with several.
    """
    folder = os.fspath(reference)
    if not Path(folder).is_dir():
        return lambda _: folder
    places: dict[str, list[str]] = {}
    stems: dict[str, list[str]] = {}
    for path in walk(folder):
        places.setdefault(os.path.splitext(os.path.relpath(path, folder))[0], []).append(path)  # noqa: PTH122
        stems.setdefault(Path(path).stem, []).append(path)
    if not stems:
        raise InputError(f"no pictures in the folder of references {folder!r}; check the path")
    roots = [os.fspath(i) for i in images if Path(i).is_dir()]

    def find(image: str) -> str:
        for root in roots:
            place = os.path.splitext(os.path.relpath(image, root))[0]  # noqa: PTH122
            if len(places.get(place, ())) == 1:
                return places[place][0]
        stem = Path(image).stem
        found = stems.get(stem, [])
        if len(found) == 1:
            return found[0]
        if not found:
            raise PairError(f"no reference with the stem {stem!r} in {folder!r}; add one or name it alike")
        raise PairError(f"{len(found)} references have the stem {stem!r}: {', '.join(found[:3])}; keep one")

    return find
