"""Labelled sets of distorted pictures: which are to be made, and making them, in order, one label for each."""

from __future__ import annotations

import functools
import io
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from beholder.collecting import expand
from beholder.distortions import distort, draw_chain, find, list_distortions
from beholder.distortions.registry import split
from beholder.encoding import FORMATS, encode
from beholder.errors import BeholderError, InputError, OutputError
from beholder.image import read_image
from beholder.metrics.measure import processors
from beholder.strips import stream
from beholder.version import __version__

COLUMNS = ("image", "reference", "type", "level", "seed", "parameters")
TABLE, SETTINGS = "labels.csv", "labels.json"


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of one distorted picture; ``distort(reference, type, levels, seed=seed)`` makes it again.

    image, reference: paths as seen from the table's folder. type: the distortion, or several with + between. level: of
    each. parameters: name and value of each. error: empty, or ``TypeName: message``, and then there is no picture.
    """

    image: str
    reference: str
    type: str
    levels: tuple[float, ...]
    seed: int
    parameters: str
    error: str = field(default="", compare=False)

    def row(self) -> dict[str, Any]:
        """The label as the columns of the table."""
        level = "+".join(f"{v:g}" for v in self.levels)
        cells = (self.image, self.reference, self.type, level, self.seed, self.parameters)
        return dict(zip(COLUMNS, cells, strict=True))


@dataclass(frozen=True)
class Plan:
    """A labelled set to be made: `labels` in order, made by `write`.

    labels: one for each picture to be written. sources: the picture that each is made of, as it was named. drawn: out
    of which distortions chains were drawn; a grey picture's chain is drawn anew out of those that take it.
    """

    output: Path
    labels: tuple[Label, ...]
    sources: tuple[str, ...]
    settings: dict[str, Any]
    format: str
    drawn: tuple[str, ...] = ()


def choose_distortions(text: str) -> list[str]:
    """Names of distortions out of names with commas between, of which "kadid", "tid" and "all" stand for many.

    Raises UnknownDistortionError for an unknown name, InputError for none.
    """
    names: list[str] = []
    for part in (p.strip() for p in text.split(",")):
        if part.lower() in ("kadid", "tid", "all"):
            names += [c.name for c in list_distortions(None if part.lower() == "all" else part.lower())]
        elif part:
            names.append("+".join(find(n).name for n in split(part)))
    if not names:
        raise InputError("no distortion is named; pass names with commas between, kadid, tid or all")
    return list(dict.fromkeys(names))


def plan(
    inputs: Sequence[str],
    output: str | os.PathLike[str],
    names: Sequence[str],
    levels: Sequence[float] = (1, 2, 3, 4, 5),
    *,
    seed: int = 0,
    chains: int = 0,
    format: str = "png",  # noqa: A002  # the file format's own word
) -> Plan:
    """Lay out a labelled set: every input with every distortion at every level, or so many random chains of them.

    inputs: pictures, folders, patterns, lists; references. names: as for `choose_distortions`, one by one. seed: each
    picture's own seed follows from this one and its place below the folder given. chains: where not 0, so many random
    chains of the named distortions for each picture, instead. Nothing is read and nothing written yet.
    Levels are taken to the six digits that the table tells; what is named twice is made once.
    Raises InputError for an unknown format, no levels, levels outside [0, 5] and pictures that would get the same name.
    """
    ending = format.lower().lstrip(".")
    if ending not in FORMATS:
        raise InputError(f"pictures are written without loss, as {', '.join(FORMATS)}; got {format!r}")
    steps = list(dict.fromkeys(float(f"{v:g}") for v in levels))
    if not steps and not chains:
        raise InputError("no level is named; pass numbers from 0 to 5, such as 1,2,3,4,5")
    folder = Path(output)
    labels: list[Label] = []
    sources: list[str] = []
    for source, place in dict.fromkeys(_places(inputs)):
        own = int(np.random.SeedSequence([seed, zlib.crc32(place.encode())]).generate_state(1)[0])
        reference = os.path.relpath(source, folder)
        for stem, chain, number in _wanted(place, names, steps, chains, own):
            labels.append(_of_chain(Label(f"{stem}.{ending}", reference, "", (), number, ""), chain))
            sources.append(source)
    _check_apart(labels, sources)
    settings: dict[str, Any] = {"version": __version__, "names": list(names), "levels": steps}
    settings |= {"seed": seed, "chains": chains, "format": ending, "pictures": len(labels)}
    return Plan(folder, tuple(labels), tuple(sources), settings, ending, tuple(names) if chains else ())


def _places(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Every picture and its place, without ending, below the folder that was given; of a file its stem."""
    for given in inputs:
        for source in expand([given]):
            inside = Path(os.path.relpath(source, given)) if Path(given).is_dir() else Path(Path(source).name)
            yield source, inside.with_suffix("").as_posix()


def _wanted(
    place: str, names: Sequence[str], levels: Sequence[float], chains: int, seed: int
) -> Iterator[tuple[str, list[tuple[str, float]], int]]:
    """Name, chain and seed of every picture that is made of one."""
    if chains:
        for number in range(chains):
            mixed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            yield f"{place}_chain{number + 1:03d}", draw_chain(mixed, names), mixed
        return
    for name in names:
        for level in levels:
            parts = name.split("+")
            yield f"{place}_{name}_{level:g}", [(part, float(level)) for part in parts], seed


def _of_chain(label: Label, chain: Sequence[tuple[str, float]]) -> Label:
    """The label with the types, levels and parameters of a chain."""
    kind = "+".join(n for n, _ in chain)
    told = "+".join(_parameter(n, v) for n, v in chain)
    return replace(label, type=kind, levels=tuple(v for _, v in chain), parameters=told)


def _parameter(name: str, level: float) -> str:
    card = find(name)
    return f"{card.parameter}={card.value(level):.6g}"


def _check_apart(labels: Sequence[Label], sources: Sequence[str]) -> None:
    made: dict[str, str] = {}
    for label, source in zip(labels, sources, strict=True):
        other = made.setdefault(label.image.lower(), source)
        if other != source:
            alike = Path(source).resolve().parent == Path(other).resolve().parent
            cure = "rename one of them" if alike else "rename one of them, or pass the folder above both"
            raise InputError(f"{other!r} and {source!r} would both be written as {label.image!r}; {cure}")


def write(chosen: Plan, *, resume: bool = False, workers: int | None = None) -> Iterator[Label]:
    """Make the pictures of a plan and, at the end, their table: a generator of labels, in order, with errors as labels.

    resume: pictures that an interrupted run of the same settings has written are kept. workers: pictures made at once,
    default one per processor. A picture is there as a whole or not at all; the table holds those that are there.
    Raises OutputError for a folder that cannot be written, that holds a set already or one of other settings.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers!r}; leave it out for one per processor")
    _open(chosen, resume)
    made: list[Label] = []
    for label in _stream(chosen, resume, workers or processors()):
        if not label.error:
            made.append(label)
        yield label
    _replace(chosen.output / TABLE, _table(made))


def _open(chosen: Plan, resume: bool) -> None:
    """Claim the folder: its settings file says what it holds."""
    place = chosen.output / SETTINGS
    wanted = (json.dumps(chosen.settings, indent=1) + "\n").encode()
    if place.exists():
        if not resume:
            raise OutputError(f"{str(chosen.output)!r} holds a labelled set already; pass --resume or another folder")
        if place.read_bytes() != wanted:
            raise OutputError(
                f"{str(chosen.output)!r} holds a set of other settings (see {SETTINGS}); choose another folder"
            )
        return
    try:
        chosen.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {str(chosen.output)!r}: {error.strerror}; choose another") from error
    _replace(place, wanted)


def _stream(chosen: Plan, resume: bool, workers: int) -> Iterator[Label]:
    read = functools.lru_cache(maxsize=2 * workers + 1)(_read)
    items = ((chosen, *pair, read, resume) for pair in zip(chosen.labels, chosen.sources, strict=True))
    return stream(_make, items, workers, "beholder-distort")


def _read(source: str) -> np.ndarray[Any, Any] | str:
    """The picture, or what is wrong with it: that, too, is found out once for all that is to be made of it."""
    try:
        return read_image(source).native
    except BeholderError as error:
        return f"{type(error).__name__}: {error}"


def _make(
    chosen: Plan, label: Label, source: str, read: Callable[[str], np.ndarray[Any, Any] | str], resume: bool
) -> Label:
    """One picture; what the picture is to blame for becomes its label's error, what the disk is to blame for stops."""
    target = chosen.output / label.image
    there = resume and target.exists()
    if there and not chosen.drawn:
        return label
    try:
        picture = read(source)
        if isinstance(picture, str):
            return replace(label, error=picture)
        if chosen.drawn and picture.shape[2] == 1:
            label = _of_chain(label, draw_chain(label.seed, chosen.drawn, channels=1))
        if there:
            return label
        out = distort(picture, label.type, label.levels, seed=label.seed)
        data = encode(out, chosen.format)
    except Exception as error:  # noqa: BLE001  # the label is where an unforeseen failure is told, by its own name
        told = " ".join(str(error).split())
        return replace(label, error=f"{type(error).__name__}: {told}")
    _replace(target, data)
    return label


def _replace(target: Path, data: bytes) -> None:
    """Write a file as a whole: under another name first."""
    temporary = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {str(target)!r}: {error.strerror}; make room or choose another") from error


def _table(labels: Iterable[Label]) -> bytes:
    """CSV after RFC 4180, in UTF-8."""
    import csv

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(label.row().values() for label in labels)
    return text.getvalue().encode("utf-8", "surrogateescape")
