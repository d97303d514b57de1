"""Labelled sets of distorted pictures: which are to be made, and making them, in order, one label for each."""

from __future__ import annotations

import functools
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from beholder.collecting import expand
from beholder.distortions import distort, draw_chain, find, list_distortions
from beholder.errors import BeholderError, InputError, OutputError
from beholder.image import read_image
from beholder.metrics.measure import processors
from beholder.strips import stream
from beholder.version import __version__

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {"compress_level": 3}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
}
"""Endings of the pictures that can be written; all are without loss, so that the label is the whole truth."""
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

    labels: one for each picture to be written. sources: the picture that each is made of, as it was named.
    """

    output: Path
    labels: tuple[Label, ...]
    sources: tuple[str, ...]
    settings: dict[str, Any]
    format: str


def choose_distortions(text: str) -> list[str]:
    """Names of distortions out of names with commas between, of which "kadid", "tid" and "all" stand for many.

    Raises UnknownMetricError for an unknown name, InputError for none.
    """
    names: list[str] = []
    for part in (p.strip() for p in text.split(",")):
        if part.lower() in ("kadid", "tid", "all"):
            names += [c.name for c in list_distortions(None if part.lower() == "all" else part.lower())]
        elif part:
            names.append("+".join(find(n).name for n in part.split("+")))
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
    Raises InputError for an unknown format, levels outside [0, 5] and pictures that would get the same name.
    """
    ending = format.lower().lstrip(".")
    if ending not in FORMATS:
        raise InputError(f"pictures are written without loss, as {', '.join(FORMATS)}; got {format!r}")
    folder = Path(output)
    labels: list[Label] = []
    sources: list[str] = []
    for source, place in _places(inputs):
        own = int(np.random.SeedSequence([seed, zlib.crc32(place.encode())]).generate_state(1)[0])
        reference = os.path.relpath(source, folder)
        for stem, chain, number in _wanted(place, names, levels, chains, own):
            kind = "+".join(n for n, _ in chain)
            told = "+".join(_parameter(n, v) for n, v in chain)
            steps = tuple(v for _, v in chain)
            labels.append(Label(f"{stem}.{ending}", reference, kind, steps, number, told))
            sources.append(source)
    _check_apart(labels, sources)
    settings: dict[str, Any] = {"version": __version__, "names": list(names), "levels": [float(v) for v in levels]}
    settings |= {"seed": seed, "chains": chains, "format": ending, "pictures": len(labels)}
    return Plan(folder, tuple(labels), tuple(sources), settings, ending)


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


def _parameter(name: str, level: float) -> str:
    card = find(name)
    return f"{card.parameter}={card.value(level):.6g}"


def _check_apart(labels: Sequence[Label], sources: Sequence[str]) -> None:
    made: dict[str, str] = {}
    for label, source in zip(labels, sources, strict=True):
        other = made.setdefault(label.image.lower(), source)
        if other != source:
            raise InputError(
                f"{source!r} and {other!r} would both be written as {label.image!r}; pass the folder above them"
            )


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
    read = functools.lru_cache(maxsize=2 * workers + 1)(lambda source: read_image(source).native)
    items = ((chosen, *pair, read, resume) for pair in zip(chosen.labels, chosen.sources, strict=True))
    return stream(_make, items, workers, "beholder-distort")


def _make(chosen: Plan, label: Label, source: str, read: Any, resume: bool) -> Label:
    """One picture; what the picture is to blame for becomes its label's error, what the disk is to blame for stops."""
    target = chosen.output / label.image
    if resume and target.exists():
        return label
    try:
        picture = read(source)
        if picture.shape[2] == 1:
            picture = picture[..., 0]
        out = distort(picture, label.type, label.levels, seed=label.seed)
        data = _encoded(out, chosen.format)
    except BeholderError as error:
        told = f"{type(error).__name__}: {error}"
        return Label(label.image, label.reference, label.type, label.levels, label.seed, label.parameters, told)
    _replace(target, data)
    return label


def _encoded(picture: np.ndarray[Any, Any], ending: str) -> bytes:
    """The file's bytes; deeper pictures are rounded to 8 bits."""
    from PIL import Image

    if picture.dtype != np.uint8:
        full = 1.0 if picture.dtype.kind == "f" else float(np.iinfo(picture.dtype).max)
        picture = np.rint(picture * (255.0 / full)).astype(np.uint8)
    store = io.BytesIO()
    kind, options = FORMATS[ending]
    Image.fromarray(picture).save(store, kind, **options)
    return store.getvalue()


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
