"""Known data sets: what each is called, cited and scaled, and how it lies on disk as its owners distribute it."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beholder.datasets.records import READERS, Record
from beholder.datasets.tables import COLUMNS, Dataset, build, read_table
from beholder.errors import InputError, ReadError


@dataclass(frozen=True)
class Reading:
    """What a reader found: rows with our column names, the table they are from, and what a user should know."""

    records: Sequence[Record]
    table: str
    notes: str = ""


@dataclass(frozen=True)
class Known:
    """The card of a data set.

    scale: worst and best value of the opinions as distributed; measure: what they are; layout: the files that are read,
    below the folder that is given, at any depth; splits: the official ones; licence: what the owners say, where known.
    """

    name: str
    title: str
    citation: str
    pictures: int
    scale: tuple[float, float]
    measure: str
    layout: str
    splits: str = ""
    licence: str = ""
    aliases: tuple[str, ...] = ()
    read: Callable[[Folder], Reading] = field(repr=False, compare=False, default=lambda _: Reading((), ""))

    @property
    def better(self) -> str:
        """Whether higher or lower values of the source mean better pictures."""
        return "higher" if self.scale[1] > self.scale[0] else "lower"


CARDS: dict[str, Known] = {}


def known(name: str, **facts: Any) -> Callable[[Callable[[Folder], Reading]], Callable[[Folder], Reading]]:
    """Register the decorated function as the reader of a data set; the arguments are the fields of `Known`."""

    def register(read: Callable[[Folder], Reading]) -> Callable[[Folder], Reading]:
        CARDS[name] = Known(name=name, read=read, **facts)
        return read

    return register


class Folder:
    """The files below a folder, found whatever their case: archives made on Windows differ from their tables in it."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self._by_name: dict[str, list[Path]] = {}
        self._by_place: dict[str, list[Path]] = {}
        if not root.is_dir():
            raise ReadError(f"{name}: {str(root)!r} is not a folder; pass the one that holds the data set")
        been: set[Path] = set()
        for folder, folders, names in os.walk(root, followlinks=True):
            been.add(Path(folder).resolve())  # links may lead in circles
            folders[:] = sorted(f for f in folders if Path(folder, f).resolve() not in been)
            above = Path(folder).name.lower()
            for file in sorted(names):
                path = Path(folder, file)
                self._by_name.setdefault(file.lower(), []).append(path)
                self._by_place.setdefault(f"{above}/{file.lower()}", []).append(path)

    def table(self, *names: str) -> Path:
        """The file of the first of these names that is there, nearest to the root; ReadError where none is."""
        path = self.table_if_any(*names)
        if path is None:
            wanted = " or ".join(map(repr, names))
            raise ReadError(f"{self.name}: no {wanted} below {str(self.root)!r}; unpack the data set there")
        return path

    def table_if_any(self, *names: str) -> Path | None:
        """As `table`, or None."""
        for name in names:
            found = self._by_name.get(name.lower())
            if found:
                return min(found, key=lambda p: (len(p.parts), str(p)))
        return None

    def files(self, pattern: str) -> list[Path]:
        """Files whose lower-case name matches a regular expression, in order."""
        return [p for name in sorted(self._by_name) if re.fullmatch(pattern, name) for p in self._by_name[name]]

    def picture(self, name: str, *folders: str) -> str:
        """The path of a picture, in the first of the folders that has it, else wherever it lies below the root.

        Where it is missing, the path where it should be: a check finds that.
        """
        for folder in folders:
            found = self._by_place.get(f"{folder}/{name}".lower())
            if found:
                return str(found[0])
        anywhere = self._by_name.get(name.lower(), [])
        if len(anywhere) == 1:
            return str(anywhere[0])
        return str(self.root / (folders[0] if folders else "") / name)


def list_datasets() -> list[Known]:
    """The cards of all known data sets, by name."""
    importlib.import_module("beholder.datasets.layouts")  # registers them
    return [CARDS[name] for name in sorted(CARDS)]


def find_dataset(name: str) -> Known:
    """The card of a data set by its name or an alias, in any case; InputError suggests the nearest."""
    cards = {_plain(n): card for card in list_datasets() for n in (card.name, card.title, *card.aliases)}
    key = _plain(name)
    if key not in cards:
        near = difflib.get_close_matches(key, cards, n=1)
        hint = f"did you mean {cards[near[0]].name!r}?" if near else f"known: {', '.join(sorted(CARDS))}"
        raise InputError(f"no data set is called {name!r}; {hint}")
    return cards[key]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def open_dataset(name: str, root: str | os.PathLike[str]) -> Dataset:
    """A known data set out of the folder that it was unpacked to, with opinions on 0-100, higher is better.

    name: as `list_datasets` tells, or an alias. Raises InputError for an unknown name, ReadError where the data set's
    tables are not below `root` or are damaged. Missing pictures are for `beholder.datasets.checking.check` to find.
    """
    card = find_dataset(name)
    folder = Folder(Path(root).absolute(), card.title)
    reading = card.read(folder)
    if not reading.records:
        raise ReadError(f"{card.title}: {reading.table} below {str(folder.root)!r} names no pictures; get it anew")
    columns = {c: c for c in COLUMNS}
    return build(
        card.name, reading.records, columns, card.scale, folder.root, card.citation, reading.notes, reading.table
    )


def open_source(
    source: str,
    root: str | os.PathLike[str] | None = None,
    *,
    scale: Sequence[float] = (),
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """A data set by what a user names: a table's file, or a known data set and the folder that it lies in.

    scale, columns: of a table, as for `read_table`; a known data set has its own, and other ones are refused. Raises
    InputError for a table without a scale, a known data set without a folder, and as `read_table` and `open_dataset`.
    """
    if Path(source).is_file() or Path(source).suffix.lower() in READERS:
        if not scale:
            raise InputError(
                f"the table {source!r} needs its scale: the worst and the best value that an opinion can take, as 1,5 "
                "(or 100,0 where 0 is perfect)"
            )
        return read_table(source, scale=scale, root=root, columns=columns)
    if root is None:
        find_dataset(source)
        raise InputError(f"{source} is a known data set; name the folder that it was unpacked to as well")
    if scale or columns:
        raise InputError(f"{source} is a known data set, whose scale and columns are settled; leave them out")
    return open_dataset(source, root)
