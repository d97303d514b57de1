"""A leaderboard: all metrics on the data sets that a file names, as one page with versions and hashes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beholder.datasets.known import open_dataset
from beholder.datasets.opinions import opinion_of
from beholder.datasets.records import read_records
from beholder.errors import InputError, ReadError
from beholder.evaluation.computing import compute
from beholder.evaluation.protocol import Evaluation, evaluate
from beholder.evaluation.results import to_dict, to_markdown
from beholder.evaluation.scored import Scored, read_scored
from beholder.evaluation.stimuli import Options, Stimuli
from beholder.progress import Counter
from beholder.version import __version__

KEYS = ("name", "about", "data", "table", "root", "split", "score", "scale", "lower_better", "metrics", "skip")
ALL = {"no-reference": "image", "full-reference": "reference"}


@dataclass(frozen=True)
class Entry:
    """A data set of a leaderboard.

    data: a known data set below root, or table: a table of human scores (column `score`), or one that
    `beholder distort` wrote, which has none: then the published mean of type and level stands for them. metrics: names,
    or 'no-reference', 'full-reference' for all that ship; skip: {name: why it is left out}.
    """

    name: str
    metrics: Sequence[str]
    about: str = ""
    data: str = ""
    table: str = ""
    root: str = ""
    split: str = ""
    score: str = ""
    scale: tuple[float, float] | None = None
    lower_better: bool = False
    skip: Mapping[str, str] | None = None


def read_bench(path: str | Path) -> tuple[str, list[Entry]]:
    """Title and entries of a TOML file: `title`, and a [[set]] for each data set; InputError for what does not fit."""
    source = Path(path)
    try:
        whole = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReadError(f"{str(source)!r} cannot be read: {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source.name} is not TOML: {error}") from error
    unknown = [k for k in whole if k not in ("title", "set")]
    if unknown or not isinstance(whole.get("set"), list) or not whole["set"]:
        raise InputError(
            f"{source.name} has a title and a [[set]] for each data set" + f", not {unknown[:1]}" * bool(unknown)
        )
    return str(whole.get("title", "Leaderboard")), [_entry(source, given) for given in whole["set"]]


def _entry(source: Path, given: Mapping[str, Any]) -> Entry:
    unknown = [k for k in given if k not in KEYS]
    if unknown:
        raise InputError(f"{source.name}: a set has no key {unknown[0]!r}; there are: {', '.join(KEYS)}")
    if not given.get("name") or bool(given.get("data")) == bool(given.get("table")):
        raise InputError(f"{source.name}: a set has a name, and either data or a table; got {dict(given)}")
    metrics = _metrics(given.get("metrics", "no-reference"), given.get("skip", {}))
    rest = {k: v for k, v in given.items() if k != "metrics"}
    if "scale" in rest:
        try:
            worst, best = (float(v) for v in rest["scale"])
        except (TypeError, ValueError) as error:
            raise InputError(f"{source.name}: scale is [worst, best], got {rest['scale']!r}") from error
        rest["scale"] = (worst, best)
    return Entry(metrics=metrics, **rest)


def _metrics(asked: str | Sequence[str], skip: Mapping[str, str]) -> list[str]:
    from beholder.metrics import list_metrics

    if not isinstance(asked, (str, list)) or not all(isinstance(m, str) for m in asked):
        raise InputError(f"metrics of a leaderboard are names, or one of {', '.join(ALL)}, got {asked!r}")
    if isinstance(asked, str) and asked in ALL:
        names = [c.name for c in list_metrics(ALL[asked])]  # type: ignore[arg-type]
    else:
        names = asked.split(",") if isinstance(asked, str) else list(asked)
    return [n.strip() for n in names if n.strip() not in skip]


def run_bench(
    path: str | Path, work: Path, *, options: Options | None = None, workers: int | None = None, quiet: bool = False
) -> tuple[str, dict[str, Any]]:
    """The page in Markdown, and everything as JSON; values stay in `work`, so that an interrupted run goes on."""
    title, entries = read_bench(path)
    work.mkdir(parents=True, exist_ok=True)
    parts: list[str] = []
    whole: dict[str, Any] = {"title": title, "beholder": __version__, "sets": []}
    for entry in entries:
        table = _open(entry)
        kept = work / ("".join(c if c.isalnum() else "-" for c in entry.name.lower()) + ".csv")
        done = compute(
            table.images, table.references, entry.metrics, digest=table.digest, kept=kept, workers=workers, quiet=quiet
        )
        counter = Counter("evaluating", 2 * len(done.values) + 1, quiet=quiet)
        found = evaluate(table.stimuli, done.values, lower_better=done.lower_better, options=options, tick=counter.step)
        parts.append(_part(entry, table, found, done.weights))
        said = to_dict(found, source={"name": entry.name, "digest": table.digest, "weights": done.weights})
        for metric in said["metrics"]:  # values of every picture would make megabytes
            del metric["mapped"], metric["parts"]["disagreements"]
            metric["parts"].pop("reference", None)
        del said["data"]["names"], said["data"]["opinions"], said["data"]["error"]
        for key in ("references", "types", "levels"):
            del said["data"][key]
        whole["sets"].append(said)
    head = f"# {title}\n\nWritten by `beholder evaluate --bench`, version {__version__}; do not edit by hand.\n\n"
    return head + "\n".join(parts), whole


def _open(entry: Entry) -> Scored:
    if entry.table and entry.score:
        return read_scored(
            entry.table,
            entry.score,
            lower_better=entry.lower_better,
            scale=entry.scale,
            root=entry.root or None,
            split=entry.split,
        )
    if entry.table:
        return _made(Path(entry.table))
    data = open_dataset(entry.data, entry.root)
    if entry.split:
        data = data.of(entry.split)
    samples = data.samples
    std = np.array([np.nan if s.std is None else s.std for s in samples])
    paired = all(s.reference for s in samples)
    stimuli = Stimuli(
        np.array([s.mos for s in samples]),
        (0.0, 100.0),
        names=[data.key(s) for s in samples],
        std=std if np.isfinite(std).all() else None,
        references=np.array([s.group for s in samples]) if all(s.group for s in samples) else None,
        types=np.array([s.type for s in samples]) if all(s.type for s in samples) else None,
        levels=np.array([s.level for s in samples], float) if all(s.level is not None for s in samples) else None,
    )
    images = [s.image for s in samples]
    references = [s.reference for s in samples if s.reference] if paired else []
    return Scored(Path(entry.root), data.digest, stimuli, images=images, references=references)


def _made(path: Path) -> Scored:
    """A table of `beholder distort`, with the published mean opinion of each picture's type and level."""
    import hashlib

    rows = [cells for _, cells in read_records(path)]
    try:
        opinions = np.array([opinion_of(str(r["type"]), float(r["level"])) for r in rows])
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path.name} has no human scores; name their column, or pass what `beholder distort -d kadid` wrote"
        ) from error
    stimuli = Stimuli(
        opinions,
        (0.0, 100.0),
        names=[str(r["image"]) for r in rows],
        references=np.array([str(r["reference"]) for r in rows]),
        types=np.array([str(r["type"]) for r in rows]),
        levels=np.array([float(r["level"]) for r in rows]),
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    images, references = ([path.parent / str(r[k]) for r in rows] for k in ("image", "reference"))
    return Scored(path, digest, stimuli, images=images, references=references)


def _part(entry: Entry, table: Scored, found: Evaluation, weights: Mapping[str, str]) -> str:
    measures = ["srcc", "krcc", "plcc", "rmse"]
    if table.stimuli.types is not None:
        measures.append("srcc_within_type")
    lines = [f"## {entry.name}", "", entry.about, ""] if entry.about else [f"## {entry.name}", ""]
    lines += [to_markdown(found, measures), f"Data `{table.digest}`."]
    blind = found.baselines.get("content_blind")
    if blind:
        lines[-1] += (
            f" The table of type and level that looks at no picture: SRCC {blind['srcc']:.3f}, within types "
            f"{blind['srcc_within_type']:.3f}."
        )
    if weights:
        lines[-1] += " Weights: " + ", ".join(f"{n} `{h[:12]}`" for n, h in weights.items()) + "."
    for name, why in (entry.skip or {}).items():
        lines.append(f"- {name} is left out: {why}.")
    return "\n".join(lines) + "\n"
