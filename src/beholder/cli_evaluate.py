"""The command line's part for agreement with people: `beholder evaluate`; mounted by cli.py."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beholder.errors import InputError, OutputError
from beholder.progress import Counter, tell

if TYPE_CHECKING:
    from beholder.evaluation.choices import Choices
    from beholder.evaluation.protocol import Evaluation
    from beholder.evaluation.scored import Scored

ENDINGS = (".json", ".html", ".md", ".tex")
SHOWN = 8
"""Misjudged pictures of each metric that a page shows."""


def evaluate(
    table: Annotated[
        list[Path] | None,
        typer.Argument(metavar="TABLE...", help="Tables of human scores: .csv, .tsv, .jsonl, .parquet."),
    ] = None,
    score: Annotated[str, typer.Option("--score", metavar="COLUMN", help="The human scores.")] = "mos",
    lower_better: Annotated[
        bool, typer.Option("--lower-better", help="The human scores are of differences: less is better.")
    ] = False,
    scale: Annotated[
        str, typer.Option("--scale", metavar="WORST,BEST", help="Of the human scores [default: as far as they reach].")
    ] = "",
    metrics: Annotated[
        str, typer.Option("-m", "--metrics", metavar="NAMES", help="Metrics to compute, with commas between.")
    ] = "",
    columns: Annotated[
        str,
        typer.Option(
            "-c", "--columns", metavar="NAMES", help="Predictions in the table, with commas between; NAME:lower."
        ),
    ] = "",
    group: Annotated[
        str, typer.Option("--group", metavar="COLUMN", help="Contents that are drawn as one [default: reference].")
    ] = "",
    names: Annotated[
        str,
        typer.Option(
            "--names",
            metavar="OURS=THEIRS",
            help="Columns called otherwise than image, std, n, ci_low, ci_high, reference, type, level, split.",
        ),
    ] = "",
    root: Annotated[
        Path | None, typer.Option("--root", metavar="FOLDER", help="That pictures are named from [the table's own].")
    ] = None,
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="Only the rows of this split.")] = "",
    mapping: Annotated[
        str, typer.Option("--mapping", help="For PLCC and RMSE: logistic4, logistic5, cubic, linear, none.")
    ] = "logistic4",
    adjust: Annotated[str, typer.Option("--adjust", help="Of p-values of many tests: holm, bh, none.")] = "holm",
    rounds: Annotated[int, typer.Option("--rounds", min=100, help="Of the bootstrap.")] = 1000,
    level: Annotated[float, typer.Option("--level", help="Of intervals and tests.")] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same gives the same intervals.")] = 0,
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write .json, .html, .md or .tex; repeat for several."),
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Pictures measured at once.")] = None,
    duel: Annotated[
        str,
        typer.Option(
            "--duel",
            metavar="FIRST,SECOND",
            help="Pairs that one metric calls equal and the other most different (gMAD).",
        ),
    ] = "",
    choices: Annotated[
        Path | None,
        typer.Option(
            "--choices",
            metavar="FILE",
            help="Two-alternative choices: a table of first, second, share of people who preferred the first.",
        ),
    ] = None,
    cross: Annotated[
        bool, typer.Option("--cross", help="Of several tables: mappings fitted on each, judged on the others.")
    ] = False,
    bench: Annotated[
        Path | None,
        typer.Option("--bench", metavar="FILE", help="A leaderboard of the data sets that FILE names (TOML)."),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Judge metrics by human scores: agreement, where it fails, and what may be concluded."""
    from beholder.evaluation.choices import read_choices
    from beholder.evaluation.scored import parse_column, read_scored
    from beholder.evaluation.stimuli import Options

    for path in output or ():
        if path.suffix.lower() not in ENDINGS:
            raise OutputError(f"an evaluation is written as {', '.join(ENDINGS)}, got {path.name!r}")
        if not path.parent.is_dir():
            raise OutputError(f"the folder {str(path.parent)!r} of the output does not exist; create it first")
    options = Options(mapping=mapping, rounds=rounds, level=level, seed=seed, adjust=adjust)  # type: ignore[arg-type]
    if bench is not None:
        if table or columns or metrics or duel or choices or cross:
            raise InputError("--bench takes data sets and metrics from its file; leave tables and their options out")
        _leaderboard(bench, output or (), options, workers=workers, quiet=quiet)
        return
    if not table:
        raise InputError("nothing to judge by: name a table of human scores, or a leaderboard's file with --bench")
    asked = [c.strip() for c in columns.split(",") if c.strip()]
    if not asked and not metrics.strip():
        raise InputError("nothing to judge: name columns of predictions with -c, or metrics to compute with -m")
    called = _pairs(names) | ({"group": group} if group else {})
    limits = _scale(scale)
    if cross and (len(table) < 2 or limits is None):
        raise InputError("--cross needs at least two tables, and --scale, to lay their opinions on 0-100")
    fighters = _duelists(duel, [*(parse_column(c)[0] for c in asked), *(m.strip() for m in metrics.split(",") if m)])
    reads: dict[str, Scored] = {}
    for (label, word), path in zip(_labels(table), table, strict=True):
        read = read_scored(
            path,
            score,
            lower_better=lower_better,
            scale=limits,
            columns=asked,
            names=called,
            root=root,
            split=split,
        )
        between = None if choices is None else (choices, read_choices(choices, read.stimuli.names))
        if metrics.strip():
            _compute(read, word, metrics, output, workers=workers, quiet=quiet)
        _judge(read, (label, word) if len(table) > 1 else None, options, output or (), fighters, between, quiet=quiet)
        reads[label] = read
    if cross:
        _cross(reads, mapping, output or ())


def _labels(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """What tells tables apart: the file's name with so many folders before it as that takes, and a word for outputs."""
    if len({p.resolve() for p in paths}) < len(paths):
        raise InputError("a table is named twice")
    depth = 1
    while len({p.resolve().parts[-depth:] for p in paths}) < len(paths):
        depth += 1
    found = ["/".join(p.resolve().parts[-depth:]) for p in paths]
    words = [label.rpartition(".")[0].replace("/", "-") for label in found]
    if len(set(words)) < len(words):  # they differ in their endings alone
        words = [label.replace("/", "-").replace(".", "-") for label in found]
    return list(zip(found, words, strict=True))


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        ours, equals, theirs = part.partition("=")
        if not (ours and equals and theirs):
            raise InputError(f"columns are OURS=THEIRS such as reference=ref_name, got {part!r}")
        found[ours] = theirs
    return found


def _scale(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        worst, best = (float(v) for v in text.split(","))
    except ValueError as error:
        raise InputError(f"--scale is the worst and the best value, such as 1,5, got {text!r}") from error
    return worst, best


def _compute(
    read: Scored, word: str, metrics: str, output: Sequence[Path] | None, *, workers: int | None, quiet: bool
) -> None:
    """Compute metrics of the table's pictures; with an output the values stay beside it, and an interrupt resumes."""
    from beholder.evaluation.computing import compute

    if not read.images:
        raise InputError(f"{read.path.name} has no column image, so that nothing can be computed")
    kept = output[0].with_name(f"{output[0].stem}.{word}.csv") if output else None
    found = compute(read.images, read.references, metrics, digest=read.digest, kept=kept, workers=workers, quiet=quiet)
    read.take(found)


def _duelists(text: str, judged: Sequence[str]) -> tuple[str, str] | None:
    if not text:
        return None
    names = [n.strip() for n in text.split(",")]
    if len(set(names)) != 2 or len(names) != 2 or any(n not in judged for n in names):
        raise InputError(f"--duel takes two of the metrics that are judged, {', '.join(judged)}; got {text!r}")
    return names[0], names[1]


def _cross(reads: Mapping[str, Scored], mapping: str, output: Sequence[Path]) -> None:
    from dataclasses import asdict

    from beholder.evaluation.crossing import cross
    from beholder.evaluation.results import clean

    sets = {label: (read.stimuli, read.oriented()) for label, read in reads.items()}
    found = cross(sets, mapping)  # type: ignore[arg-type]
    rows = [[c.metric, c.fitted_on, c.judged_on, *(f"{v:.3f}" for v in (c.srcc, c.plcc, c.rmse))] for c in found]
    typer.echo("\nMappings of one table on another, opinions on 0-100:")
    _lines(["metric", "fitted on", "judged on", "SRCC", "PLCC", "RMSE"], rows)
    for path in output:
        if path.suffix.lower() == ".json":
            text = json.dumps(clean([asdict(c) for c in found]), allow_nan=False)
            _write(path.with_name(f"{path.stem}-cross.json"), text + "\n")


def _judge(
    read: Scored,
    called: tuple[str, str] | None,
    options: Any,
    output: Sequence[Path],
    duel: tuple[str, str] | None,
    between: tuple[Path, Choices] | None,
    *,
    quiet: bool,
) -> None:
    from beholder.evaluation.calibration import judge_intervals
    from beholder.evaluation.protocol import evaluate as judge
    from beholder.evaluation.results import all_warnings, clean, footnote, to_dict, to_latex, to_markdown

    counter = Counter("evaluating", 2 * len(read.predictions) + 1, quiet=quiet)
    found = judge(read.stimuli, read.predictions, lower_better=read.lower_better, options=options, tick=counter.step)
    for warning in (*read.warnings, *all_warnings(found)):
        tell(warning)
    if called:
        typer.echo(f"\n{called[0]}")
    _print(found)
    typer.echo(footnote(found))
    fights = _fight(read, duel) if duel else []
    chosen = _choose(read, *between, options) if between else {}
    for path in output:
        target = path.with_name(f"{path.stem}-{called[1]}{path.suffix}") if called else path
        ending = path.suffix.lower()
        if ending == ".md":
            text = to_markdown(found)
        elif ending == ".tex":
            text = to_latex(found)
        else:
            whole = to_dict(found, source={"table": read.path.name, "digest": read.digest, "created": _now()})
            whole["calibration"] = {
                name: judge_intervals(read.stimuli.opinions, low, high, value=value, groups=read.stimuli.types)
                for name, (value, low, high) in read.intervals.items()
            }
            if duel:
                whole["duels"] = clean(fights)
            if chosen:
                whole["choices"] = clean(chosen)
            if ending == ".html":
                whole["pictures"] = _pictures(read, whole, fights)
                _page(target, whole)
                continue
            text = json.dumps(whole, allow_nan=False, ensure_ascii=False) + "\n"
        _write(target, text)


def _leaderboard(bench: Path, output: Sequence[Path], options: Any, *, workers: int | None, quiet: bool) -> None:
    from beholder.evaluation.leaderboard import run_bench

    wrong = [p for p in output if p.suffix.lower() not in (".md", ".json")]
    if wrong:
        raise OutputError(f"a leaderboard is written as .md or .json, got {wrong[0].name!r}")
    work = output[0].with_suffix(".values") if output else bench.with_suffix(".values")
    page, whole = run_bench(bench, work, options=options, workers=workers, quiet=quiet)
    for path in output:
        text = page if path.suffix.lower() == ".md" else json.dumps(whole, allow_nan=False, indent=1) + "\n"
        _write(path, text)
    if not output:
        typer.echo(page)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror}; choose another place") from error


def _page(path: Path, whole: dict[str, Any]) -> None:
    from beholder.reporting.evaluation_page import write_evaluation

    try:
        with path.open("wb") as file:
            write_evaluation(file, whole)
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror}; choose another place") from error


def _fight(read: Scored, duel: tuple[str, str]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from beholder.evaluation.competing import duels
    from beholder.evaluation.stimuli import bounded

    said = read.oriented()
    first, second = (bounded(said[n])[0] for n in duel)
    found = [asdict(d) for d in duels(first, second, duel, opinions=read.stimuli.opinions)]
    typer.echo(f"\nPairs that one calls equal and the other most different, {duel[0]} against {duel[1]}:")
    name = read.stimuli.name
    rows = [
        [
            d["defender"],
            str(d["level"] + 1),
            name(d["first"]),
            name(d["second"]),
            f"{d['gap']:.3g}",
            f"{d['opinion']:.3g}",
        ]
        for d in found
    ]
    _lines(["calls equal", "level", "better to the other", "worse to the other", "by", "by people"], rows)
    return found


def _choose(read: Scored, path: Path, choices: Choices, options: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from beholder.evaluation.choices import judge_choices

    found = {
        name: judge_choices(values, choices, rounds=options.rounds, level=options.level, seed=options.seed)
        for name, values in read.oriented().items()
    }
    typer.echo(f"\nTwo-alternative choices of {path.name}, {len(choices.share):,} pairs:")
    rows = [
        [
            name,
            *(
                f"{v:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]" if math.isfinite(v) else "–"
                for v, ends in ((c.accuracy, c.accuracy_interval), (c.score, c.score_interval))
            ),
            f"{c.ceiling:.3f}",
        ]
        for name, c in sorted(found.items(), key=lambda item: -item[1].score)
    ]
    _lines(["metric", "accuracy", "2AFC score", "ceiling"], rows)
    return {name: asdict(c) for name, c in found.items()}


def _pictures(read: Scored, whole: dict[str, Any], fights: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Thumbnails of the pictures that are misjudged most, and of those in duels."""
    from beholder.reporting.page import views_of

    if not read.images:
        return {}
    wanted = {p for f in fights for p in (f["first"], f["second"])}
    for metric in whole["metrics"]:
        wanted |= set(metric["parts"]["disagreements"][:SHOWN])
    found = {}
    for place in sorted(wanted):
        reference = str(read.references[place]) if read.references else ""
        views = views_of(str(read.images[place]), reference, large=False)
        if views:
            found[str(place)] = views
    return found


def _print(found: Evaluation) -> None:
    from beholder.evaluation.results import table

    _lines(*table(found))
    sys.stdout.flush()


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    wide = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        typer.echo("  ".join(c.ljust(w) for c, w in zip(row, wide, strict=True)).rstrip())
