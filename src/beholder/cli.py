"""The command line: verbs over the same functions, no logic of its own."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from beholder import cli_data, cli_evaluate, cli_metrics, cli_sets, cli_train
from beholder.errors import BeholderError, InputError, MissingExtraError, ModelError, OutputError, StoppedError
from beholder.progress import listeners, tell, watch
from beholder.version import __version__

MISSED, USAGE, FAILED, INTERNAL, INTERRUPTED = 1, 2, 3, 70, 130
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as in malloc.h

app = typer.Typer(
    name="beholder",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Judge images as people do. Results go to stdout, progress to stderr. Exit status: 0 fine, 1 a threshold "
    "was missed, 2 wrong usage, 3 some inputs failed.",
)


app.add_typer(cli_data.app)
app.command()(cli_evaluate.evaluate)
app.command()(cli_train.train)
app.command()(cli_train.tune)
app.command()(cli_train.variant)
app.command()(cli_sets.features)
app.command()(cli_metrics.metrics)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"beholder {__version__}")
        raise typer.Exit


Changed = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME.KEY=VALUE", help="A metric's setting, such as flip.ppd=40; repeat for several."
    ),
]


@app.callback()
def _main(
    version: Annotated[  # handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def score(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE|FOLDER|PATTERN|LIST...",
            help="Pictures; folders (searched below, natural order); patterns such as 'a/*.png'; lists (.txt or "
            ".lst, one path a line); - for a list on stdin.",
            show_default=False,
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option("-r", "--reference", metavar="FILE|FOLDER", help="The reference, or a folder; pairs by stem."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--metrics",
            metavar="NAMES",
            help="Metrics with commas between [default: beholder, or psnr,ssim with -r].",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write .csv, .json, .parquet or .html; resumes by itself."),
    ] = None,
    least: Annotated[
        list[str] | None, typer.Option("--min", metavar="NAME=VALUE", help="Threshold; repeat for several.")
    ] = None,
    most: Annotated[
        list[str] | None, typer.Option("--max", metavar="NAME=VALUE", help="Threshold; repeat for several.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="NAME=FILE",
            help="What a metric takes from you: a network's weights (lpips), a fitted model (niqe); repeat.",
        ),
    ] = None,
    settings: Changed = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="FILE",
            help="A model file that `beholder train` wrote, or beholder-int8, the quick form of beholder; repeat.",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="What runs --model: onnxruntime, or openvino where that is installed.")
    ] = "onnxruntime",
    data_range: Annotated[
        float | None,
        typer.Option(
            "--data-range", metavar="WHITE", help="The value of white, for floats above 1 and 12-bit samples."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Pictures measured at once [default: one per processor].")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the rows of an interrupted run.")] = False,
    table: Annotated[bool, typer.Option("--table", help="Print the table for people, also into a pipe.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Score pictures with the CNN or with any metric."""
    from beholder.collecting import expand, partners
    from beholder.metrics.trained import Trained
    from beholder.scoring import adjust, choose, columns_of, score_many

    _listen(quiet=quiet)
    target = _one_output(output, table=table)
    if engine != "onnxruntime" and not model:
        raise InputError(f"--engine {engine} runs --model alone, and none is given; pass --model, or leave it out")
    models = [Trained(path, engine) for path in model or ()]
    files, changes = _files(weights or []), cli_train.parse_changes(settings or [], "flip.ppd=40")
    asked = adjust(metrics, changes)
    measures = choose(asked, paired=reference is not None, weights=files, models=models)
    limits = {"min": _limits(least or [], measures, max), "max": _limits(most or [], measures, min)}
    find = partners(reference, inputs) if reference is not None else None
    images: Sequence[str] = list(expand(inputs))
    meta = {
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "metrics": [m.name for m in measures.values()],
            "reference": reference,
            "data_range": data_range,
            **limits,
            **({"set": changes} if changes else {}),
        },
        "weights": _weights(measures),
        "metrics": [_card(name, m) for name, m in measures.items()],
    }
    columns, tally = columns_of(measures), _Tally(limits)

    def rows(skip: int = 0) -> Iterator[dict[str, Any]]:
        left = itertools.islice(images, skip, None)
        found = score_many(left, find, asked, workers=workers, data_range=data_range, weights=files, models=models)
        produced = (row.flat() for row in found)
        shown = not (quiet or target is None)
        yield from tally.watch(watch(produced, len(images), "scoring", done=skip, shown=shown))

    if target is not None:
        _keep_apart(target, [*images, reference])
        _to_file(target, columns, meta, rows, images, tally, restart=restart)
    else:
        _to_stdout(columns, meta, rows, table=table)
    raise typer.Exit(tally.status(quiet=quiet))


def _one_output(outputs: list[Path] | None, *, table: bool) -> Path | None:
    """The file to write, None for standard output; what would be ignored is refused."""
    if not outputs:
        return None
    if len(outputs) > 1:
        names = ", ".join(map(str, outputs))
        raise InputError(f"-o names one file, got {names}; score into one, and read the others from it")
    if table:
        raise InputError("--table prints on standard output, which -o leaves empty; choose one of them")
    return outputs[0]


def _keep_apart(output: Path, pictures: Sequence[str | None]) -> None:
    """Refuse to write over one of the pictures."""
    if not output.exists():
        return
    there = output.stat()
    for picture in pictures:
        try:
            same = picture is not None and os.path.samestat(there, os.stat(picture))  # noqa: PTH116  # of a plain string
        except (OSError, ValueError):
            continue
        if same:
            raise OutputError(f"the output {str(output)!r} is one of the pictures; choose another name")


def _to_stdout(columns: Sequence[str], meta: Mapping[str, Any], rows: Any, *, table: bool) -> None:
    from beholder.reporting import print_table, write_csv_stream

    with _stdout() as stream:
        if table or stream.isatty():
            print_table(rows(), columns, meta)
        else:
            write_csv_stream(rows(), columns)
        stream.flush()


def _drop_stdout() -> None:
    """Let what is still to be written to standard output go nowhere: Python would fail on it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _stdout() -> Iterator[Any]:
    """Standard output, whose failures are told: a reader that leaves ends the work, a full disk is an error."""
    if sys.stdout is None:
        raise OutputError("standard output is closed; open it, or write to a file with -o")
    try:
        yield sys.stdout
    except BrokenPipeError:
        _drop_stdout()
        raise typer.Exit from None
    except OutputError:
        _drop_stdout()
        raise
    except OSError as error:
        _drop_stdout()
        raise OutputError(f"cannot write to standard output: {error.strerror}; make room or use -o") from error


def _to_file(
    output: Path,
    columns: Sequence[str],
    meta: Mapping[str, Any],
    rows: Any,
    images: Sequence[str],
    tally: _Tally,
    *,
    restart: bool,
) -> None:
    from beholder.reporting import RowFile

    with RowFile(output, columns, meta, restart=restart) as file:
        for position, (image, _) in enumerate(file.keys()):
            if position >= len(images) or images[position] != image:
                expected = images[position] if position < len(images) else "no more pictures"
                raise OutputError(
                    f"the interrupted run that {str(output)!r} would resume has {image!r} as picture {position + 1}, "
                    f"now it is {expected!r}; restore the inputs, or start over with --restart"
                )
        if file.done:
            typer.echo(f"resuming: {file.done} of {len(images)} rows are there already", err=True)
            for row in file.rows():
                tally.add(row)
        try:
            for row in rows(file.done):
                file.append(row)
        except KeyboardInterrupt:
            typer.echo(f"interrupted; run the same command again to go on with {str(output)!r}", err=True)
            raise
        file.finish()


class _Tally:
    """What decides the exit status."""

    def __init__(self, limits: Mapping[str, Mapping[str, float]]) -> None:
        self.limits = limits
        self.count = self.errors = self.missed = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self.count += 1
        self.errors += bool(row["error"])  # of the picture, or of some metrics: those that are there still count
        low = any(not value >= limit for value, limit in _held(row, self.limits["min"]))
        high = any(not value <= limit for value, limit in _held(row, self.limits["max"]))
        self.missed += low or high

    def watch(self, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            self.add(row)
            yield row

    def status(self, *, quiet: bool) -> int:
        notes = [f"{self.errors} of {self.count} inputs failed"] if self.errors else []
        notes += [f"{self.missed} of {self.count} pictures missed a threshold"] if self.missed else []
        if notes and not quiet:
            typer.echo("; ".join(notes), err=True)
        return FAILED if self.errors else MISSED if self.missed else 0


def _held(row: Mapping[str, Any], limits: Mapping[str, float]) -> Iterator[tuple[float, float]]:
    """The values that a row has, with their thresholds; only a metric that failed has none."""
    for name, limit in limits.items():
        value = row.get(name)
        if value is not None or not row["error"]:
            yield math.nan if value is None else value, limit


def _limits(given: Sequence[str], measures: Mapping[str, Any], strict: Callable[..., float]) -> dict[str, float]:
    """Thresholds by the names under which their metrics were asked for; of several for one, `strict` tells which."""
    from beholder.metrics import metric

    columns = {measure.name: name for name, measure in measures.items()}
    limits: dict[str, float] = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            limit = float(value)
        except ValueError as error:
            raise InputError(f"a threshold is NAME=VALUE such as beholder=60, got {text!r}") from error
        column = name if name in measures else columns.get(metric(name).name)
        if column is None:
            raise InputError(f"the threshold {text!r} names a metric that is not measured; add it to -m")
        if math.isnan(limit):
            raise InputError(f"a threshold is a number, got {text!r}, which nothing can miss; pass NAME=VALUE")
        limits[column] = strict(limit, limits.get(column, limit))
    return limits


def _files(given: Sequence[str]) -> dict[str, str]:
    """Files of weights by the names of their metrics."""
    files = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise InputError(f"weights are NAME=FILE such as lpips=alexnet-owt-7be5be79.pth, got {text!r}")
        files[name] = path
    return files


def _weights(measures: Mapping[str, Any]) -> dict[str, str]:
    return {m.name: m.weights for m in measures.values() if m.weights}


def _card(name: str, measure: Any) -> dict[str, Any]:
    card = measure.card
    return {
        "name": name,
        "better": card.better,
        "range": list(measure.range),
        "unit": card.unit,
        "kind": card.kind,
        "summary": card.summary,
        "paper": card.paper,
    }


@app.command()
def distort(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE|FOLDER|PATTERN|LIST...", help="Undistorted pictures.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="For the pictures and their table, labels.csv.")
    ],
    distortions: Annotated[
        str,
        typer.Option(
            "-d", "--distortions", metavar="NAMES|kadid|tid|all", help="Distortions with commas between; + chains them."
        ),
    ] = "kadid",
    levels: Annotated[
        str, typer.Option("--levels", metavar="LEVELS", help="From 0 (untouched) to 5, with commas between.")
    ] = "1,2,3,4,5",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same gives the same pictures.")] = 0,
    chains: Annotated[int, typer.Option("--chains", min=0, help="So many random chains for each picture instead.")] = 0,
    format: Annotated[  # noqa: A002  # the option's name
        str, typer.Option("--format", metavar="png|bmp|tiff", help="Of the pictures; without loss.")
    ] = "png",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Pictures made at once [default: one per processor].")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Make distorted pictures and a table of their labels."""
    from beholder.distorting import choose_distortions, plan, write

    try:
        steps = [float(v) for v in levels.split(",") if v.strip()]
    except ValueError as error:
        raise InputError(f"levels are numbers from 0 to 5 with commas between, got {levels!r}") from error
    names = choose_distortions(distortions)
    chosen = plan(inputs, output, names, steps, seed=seed, chains=chains, format=format)
    made = write(chosen, resume=resume, workers=workers)
    failed, told, last = 0, set[str](), ""
    try:
        labels = watch(made, len(chosen.labels), "distorting", shown=not quiet)
        for label, source in zip(labels, chosen.sources, strict=True):
            told, last = (told if source == last else set()), source
            if label.error and label.error not in told:  # once for each source, not for every picture made of it
                told.add(label.error)
                named = label.error if source in label.error else f"{source}, {label.type}: {label.error}"
                typer.echo(f"beholder: {named}", err=True)
            failed += bool(label.error)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; the same command with --resume goes on with {str(output)!r}", err=True)
        raise
    if failed and not quiet:
        typer.echo(f"{failed} of {len(chosen.labels)} pictures could not be made", err=True)
    raise typer.Exit(FAILED if failed else 0)


@app.command()
def compare(
    images: Annotated[str, typer.Argument(metavar="SET", help="A folder, pattern or list, or .npz features.")],
    references: Annotated[str, typer.Argument(metavar="REFERENCES", help="The set to compare with, of any size.")],
    metrics: Annotated[
        str, typer.Option("-m", "--metrics", metavar="NAMES", help="Metrics of sets with commas between.")
    ] = "fid,kid,precision_recall",
    settings: Changed = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="beholder|inception",
            help="The network whose features are compared [default: that of .npz features, else beholder].",
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="Inception's weights.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write .csv, .json, .parquet or .html.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Pictures looked at at once [default: one per processor].")
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Print the table for people, also into a pipe.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Compare two sets of pictures, which need not be pairs: fid, kid, precision and recall."""
    from beholder.reporting import RowFile
    from beholder.scoring import adjust, columns_of
    from beholder.sets import choose_sets, compare_sets, open_set

    changes = cli_train.parse_changes(settings or [], "kid.subsets=10")
    measures = choose_sets(adjust(metrics, changes))
    first, second = open_set(images), open_set(references)
    names = (images, references)
    how: dict[str, Any] = {"features": features, "weights": weights, "workers": workers, "names": names}
    try:
        row = compare_sets(first, second, measures, progress=not quiet, **how)
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was compared: `beholder features` keeps what a set's pictures give", err=True)
        raise
    meta = {
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "metrics": [m.name for m in measures.values()],
            "features": row.network,
            "pictures": row.counts,
            "set": changes,
        },
        "weights": {name: score.weights for name, score in row.scores.items()},
        "metrics": [_card(name, m) for name, m in measures.items()],
    }
    columns = columns_of(measures)
    for name, error in row.failed:
        typer.echo(f"{name}: {error}", err=True)
    if output is not None:
        with RowFile(output, columns, meta, restart=True) as file:
            file.append(row.flat())
            file.finish()
    else:
        _to_stdout(columns, meta, lambda: iter([row.flat()]), table=table)
    raise typer.Exit(FAILED if row.failed else 0)


def _settle_process() -> None:
    """What suits a process that does nothing but this; a library has no say in it."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it is not used, and its threads take long to start
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None  # glibc has it
    if set_option is not None:  # keep the memory of pictures for the next ones: to be given it anew costs a tenth
        for option, megabytes in ((M_TRIM_THRESHOLD, 64), (M_MMAP_THRESHOLD, 32)):
            set_option(option, megabytes << 20)


def _listen(*, quiet: bool) -> None:
    """Tell a person at a terminal of the wait that the first use of kernels brings."""
    if not quiet and sys.stderr is not None and sys.stderr.isatty():
        listeners.append(tell)


def main() -> None:
    """Run the command line; typed errors become one line on stderr and exit status 2."""
    _settle_process()
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except StoppedError as stopped:
        typer.echo(f"beholder: {stopped}", err=True)
        sys.exit(INTERRUPTED)
    except (InputError, ModelError, OutputError, MissingExtraError) as error:
        typer.echo(f"beholder: {error}", err=True)
        sys.exit(USAGE)
    except BeholderError as error:
        typer.echo(f"beholder: {type(error).__name__}: {error}", err=True)
        sys.exit(FAILED)
    except Exception:  # noqa: BLE001  # Python's own status would be 1, which says that a threshold was missed
        traceback.print_exc()
        sys.exit(INTERNAL)


if __name__ == "__main__":
    main()
