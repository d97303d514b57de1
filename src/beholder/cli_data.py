"""The command line's part for data sets: `beholder data list`, `check` and `split`; mounted by cli.py."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from beholder.errors import InputError

FAILED = 3
TOLD = 20
"""Findings that a terminal shows."""

app = typer.Typer(
    name="data",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Data sets of pictures and opinions: the known ones, checks, and splits by content.",
)

Source = Annotated[
    str,
    typer.Argument(metavar="TABLE|NAME", help="A table (.csv, .jsonl, .parquet), or a known data set's name."),
]
Root = Annotated[
    Path | None,
    typer.Argument(metavar="ROOT", help="The folder that pictures are named from; of a known set, where it lies."),
]
Scale = Annotated[
    str, typer.Option("--scale", metavar="WORST,BEST", help="Of a table's opinions: 1,5; or 100,0 where 0 is perfect.")
]
Columns = Annotated[
    str, typer.Option("--columns", metavar="OURS=THEIRS", help="A table's own column names: image=file,mos=MOS.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Pictures read at once [default: one per processor].")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")]


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False) -> None:
    """List the known data sets: name, pictures, scale, what is read, official splits, paper."""
    from beholder.datasets.known import list_datasets

    cards = list_datasets()
    if as_json:
        fields = ("name", "title", "pictures", "scale", "better", "measure", "layout", "splits", "licence", "citation")
        typer.echo(json.dumps([{f: getattr(c, f) for f in fields} for c in cards], indent=2, ensure_ascii=False))
        return
    rows = [
        (c.name, f"{c.pictures:,}", f"{c.scale[0]:g} to {c.scale[1]:g}", c.layout, c.splits, c.citation) for c in cards
    ]
    _print_table(("name", "pictures", "worst to best", "files", "official splits", "paper"), rows)


@app.command()
def check(
    source: Source,
    root: Root = None,
    scale: Scale = "",
    columns: Columns = "",
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", help="A split to look at, in place of the table's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="A report: .html, .json, .png or .svg.")
    ] = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Find missing and broken pictures, contents in two splits, copies and outliers; draw the opinions' histogram.

    Exit status 3 when a picture is missing or broken.
    """
    from beholder.datasets.checking import check as check_dataset
    from beholder.datasets.drawing import histogram_lines, summary_lines, write_report
    from beholder.datasets.splits import read_split

    dataset = _open(source, root, scale, columns)
    if split is not None:
        dataset = read_split(split, dataset)
    findings = check_dataset(dataset, threads=workers, watch=None if quiet else _watch)
    if output is not None:
        write_report(findings, output)
    if sys.stdout.isatty():
        typer.echo("\n".join([*summary_lines(findings), *([dataset.notes] if dataset.notes else [])]))
        typer.echo("\n".join(histogram_lines(findings)))
        if findings.all:
            _print_table(("what", "picture", "why"), findings.all[:TOLD])
        count = len(findings.all)
        typer.echo(f"{count:,} findings" if count <= TOLD else f"and {count - TOLD:,} more: take -o report.html")
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("what", "picture", "why"))
        writer.writerows(findings.all)
    raise typer.Exit(0 if findings.complete else FAILED)


@app.command()
def split(
    source: Source,
    root: Root = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where each picture's split is written.")
    ] = Path("split.json"),
    scale: Scale = "",
    columns: Columns = "",
    shares: Annotated[
        str, typer.Option("--shares", metavar="TRAIN,VALIDATION,TEST", help="Shares of the pictures, of sum 1.")
    ] = "0.8,0.1,0.1",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same gives the same split.")] = 0,
    look: Annotated[
        bool, typer.Option("--look/--no-look", help="Keep pictures that look the same together, where nothing says so.")
    ] = True,
    workers: Workers = None,
) -> None:
    """Draw a split by content: pictures of one group, reference or scene stay together."""
    from beholder.datasets.hashing import DISTANCE
    from beholder.datasets.splits import split as draw_split
    from beholder.datasets.splits import write_split

    parts = _numbers(shares, "shares")
    _check_output(output, source)
    dataset = _open(source, root, scale, columns)
    drawn = draw_split(dataset, parts, seed, distance=DISTANCE if look else None, threads=workers)
    write_split(drawn, output, seed=seed, shares=parts)
    counts = ", ".join(f"{name} {count:,}" for name, count in drawn.splits.items())
    typer.echo(f"{output}: {counts} (digest {drawn.digest})")


def _check_output(output: Path, source: str) -> None:
    """A split must not take the place of the table that it is drawn from, nor of another one."""
    if output.suffix.lower() != ".json":
        raise InputError(f"a split is written as JSON, got the output {str(output)!r}; let its name end in .json")
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise InputError(f"the output {str(output)!r} is the table itself; name another file, such as split.json")


def _open(source: str, root: Path | None, scale: str, columns: str) -> Any:
    from beholder.datasets.known import open_source

    names = {}
    for part in filter(None, (p.strip() for p in columns.split(","))):
        ours, equals, theirs = part.partition("=")
        if not (equals and ours and theirs):
            raise InputError(f"columns are OURS=THEIRS such as image=file,mos=MOS, got {part!r}")
        names[ours.strip()] = theirs.strip()
    return open_source(source, root, scale=_numbers(scale, "scale") if scale else (), columns=names or None)


def _numbers(text: str, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(v) for v in text.split(","))
    except ValueError as error:
        raise InputError(f"{name}: expected numbers with commas between, got {text!r}") from error


def _watch(looks: Iterator[Any], total: int) -> Iterator[Any]:
    """The same, with a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(looks, "checking", total, console=console, transient=True, disable=not console.is_terminal)


def _print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(titles):
        shown.add_column(title, overflow="fold", no_wrap=place == 0)
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = 240
    console.print(shown)
