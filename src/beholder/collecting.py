"""Which pictures to score: files, folders, patterns and lists; and which reference belongs to which."""

from __future__ import annotations

import codecs
import glob
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator

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

    A folder below that cannot be listed is given by its own name, so that it becomes an error row. Raises ReadError
    when the folder itself cannot be listed.
    """
    refused: list[str] = []

    def refuse(error: OSError) -> None:
        if os.fspath(error.filename) == folder:
            raise ReadError(f"cannot list the folder {folder!r}: {error.strerror}; check its permissions") from error
        refused.append(os.fspath(error.filename))

    for root, folders, names in os.walk(folder, onerror=refuse):
        yield from refused
        refused.clear()
        folders[:] = sorted((f for f in folders if not f.startswith(".")), key=natural_key)
        for name in sorted(names, key=natural_key):
            if not name.startswith(".") and _ending(name) in SUFFIXES:
                yield os.path.join(root, name)
    yield from refused


def expand(inputs: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    """Paths of all pictures that files, folders, patterns, list files and ``-`` (a list on stdin) stand for.

    A folder gives the pictures below it, in natural order. A named file is taken as it is, also when it is missing:
    scoring makes that an error row. Raises InputError for a folder, a pattern or a list without pictures, ReadError
    for a folder or a list that cannot be read.
    """
    for given in inputs:
        name = os.fspath(given)
        if not name:
            raise InputError("an input is empty; pass a picture, a folder, a pattern or a list")
        if name == "-":
            yield from _some(_lines(_stdin(), ""), "the list on stdin names no pictures")
        elif os.path.isdir(name):
            yield from _some(walk(name), f"no pictures in the folder {name!r}: looked for {' '.join(sorted(SUFFIXES))}")
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from _match(name)
        elif _ending(name) in LISTS:
            yield from _some(_lines(_list(name), os.path.dirname(name)), f"the list {name!r} names no pictures")
        else:
            yield name


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _some(paths: Iterable[str], otherwise: str) -> Iterator[str]:
    empty = True
    for path in paths:
        empty = False
        yield path
    if empty:
        raise InputError(f"{otherwise}; check the path")


def _match(pattern: str) -> Iterator[str]:
    """What a pattern stands for; its beginning, as far as it exists, is taken by the letter, brackets and all."""
    literal, rest = "", pattern
    while True:
        part, slash, after = rest.partition("/")
        if not slash or not os.path.lexists(literal + part + slash):
            break
        literal, rest = literal + part + slash, after
    if not set(rest) & {"*", "?"} and not glob.glob(glob.escape(literal) + rest):
        yield pattern  # a missing file with brackets in its name, as likely as a pattern
        return
    found = sorted(glob.glob(glob.escape(literal) + rest, recursive=True), key=natural_key)
    yield from _some((p for f in found for p in (walk(f) if os.path.isdir(f) else [f])), f"no file matches {pattern!r}")


def _stdin() -> bytes:
    if sys.stdin is None:
        raise InputError("a list on stdin was asked for, and stdin is closed; pipe one path a line into it")
    return sys.stdin.buffer.read()


def _list(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        raise ReadError(f"cannot read the list {name!r}: {error.strerror}; pass a file with one path a line") from error


def _lines(data: bytes, folder: str) -> Iterator[str]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ReadError("the list is UTF-16; save it as UTF-8, one path a line")
    for line in data.removeprefix(codecs.BOM_UTF8).split(b"\n"):
        path = os.fsdecode(line.strip(b"\r"))
        if path.strip() and not path.startswith("#"):
            yield os.path.join(folder, path)


def partners(reference: str | os.PathLike[str], images: Iterable[str | os.PathLike[str]] = ()) -> Partner:
    """The function that finds an image's reference.

    reference: one file, the reference of every image, or a folder, in which the reference of an image is the picture
    with the same place and stem below the folder given as input, else the only one with the same stem; never the
    one at the same place in some order, and never one out of another subfolder than the image's. images: the inputs,
    whose folders count. The function raises PairError for an image without a partner or with several. Raises
    InputError for a reference that does not exist or a folder without pictures.
    """
    folder = os.fspath(reference)
    if not os.path.isdir(folder):
        if not os.path.exists(folder):
            raise InputError(f"the reference {folder!r} does not exist; pass one picture or a folder of them")
        return lambda _: folder
    places: dict[str, list[str]] = {}
    stems: dict[str, list[str]] = {}
    for path in walk(folder):
        place = _place(path, folder)
        places.setdefault(place, []).append(path)
        stems.setdefault(os.path.basename(place), []).append(path)
    if not stems:
        raise InputError(f"no pictures in the folder of references {folder!r}; check the path")
    roots = [os.fspath(i) for i in images if os.path.isdir(i)]

    def find(image: str) -> str:
        inside = [p for p in (_place(image, root) for root in roots) if not p.startswith("..")]
        for place in inside:
            if len(places.get(place, ())) == 1:
                return places[place][0]
        stem = os.path.basename(_place(image, ""))
        found = stems.get(stem, [])
        if not found:
            raise PairError(f"no reference with the stem {stem!r} in {folder!r}; add one or name it alike")
        if len(found) > 1:
            raise PairError(f"{len(found)} references have the stem {stem!r}: {', '.join(found[:3])}; keep one")
        if os.path.dirname(_place(found[0], folder)) and any(os.path.dirname(p) for p in inside):
            raise PairError(f"the reference with the stem {stem!r} lies in another subfolder: {found[0]}; move one")
        return found[0]

    return find


def _place(path: str, root: str) -> str:
    """Path below a root without its ending, in one Unicode form: file systems differ in theirs."""
    relative = os.path.relpath(path, root) if root else path
    return unicodedata.normalize("NFC", os.path.splitext(relative)[0])
