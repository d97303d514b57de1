"""The command line's part for quality networks: `beholder train`, `beholder tune` and `beholder variant`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from beholder.errors import InputError

Folder = Annotated[
    Path, typer.Option("-o", "--output", metavar="FOLDER", help="Of the run: checkpoints, figures, curves, the model.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key, such as run.epochs=3, as in TOML; repeat."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")]


def train(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="A configuration in TOML.")] = None,
    output: Folder = Path("runs/beholder"),
    changes: Changes = None,
    template: Annotated[
        bool, typer.Option("--template", help="Print a configuration with every key explained, and stop.")
    ] = False,
    architectures: Annotated[
        bool, typer.Option("--architectures", help="List the networks and the losses, and stop.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget an interrupted run in the folder.")] = False,
    test: Annotated[
        bool, typer.Option("--test", help="At the end, judge the test split: once, for the final figure.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a quality network on pictures and opinions, and write a model file that `beholder score --model` runs."""
    from beholder.training.config import Config

    if template:
        typer.echo(Config().replace(parse_changes(changes or [])).to_toml(), nl=False)
        return
    if architectures:
        _list()
        return
    if config is None:
        raise InputError("expected a configuration in TOML; `beholder train --template` prints one to begin with")
    settings = Config.read(config).replace(parse_changes(changes or []))
    settings.check()
    from beholder.training import fit, open_data

    if test:
        from beholder.training.fitting import begun_from
        from beholder.training.opening import check_pictures

        data = open_data(settings, None if restart else output)
        if not len(data.of("test")):
            raise InputError("--test needs a test split; set data.shares such as [0.7, 0.1, 0.2], or a column split")
        check_pictures(data, begun_from(settings), ("train", "validation", "test"))
    result = fit(settings, output, restart=restart, quiet=quiet)
    _print_figures(f"validation of {result.model}", result.figures)
    if test:
        from beholder.training.testing import examine

        tested = examine(result.model, open_data(settings, output).of("test"), quiet=quiet)
        _print_figures("test", tested.figures, tested.intervals)


def tune(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A configuration with a section [tune], in TOML.")],
    output: Folder = Path("runs/study"),
    changes: Changes = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Trials at once, each in a process.")] = 1,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train the best configuration anew, into FOLDER/refit-TRIAL.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Search a configuration's best values: grid, random or Bayesian, pruned, kept in SQLite, resumable."""
    from beholder.tuning import Study
    from beholder.tuning import tune as search

    plan = Study.read(study).changed(parse_changes(changes or []))
    found = search(plan, output, workers=workers, quiet=quiet)
    _print_figures(f"best of {len(found.trials)} trials, {output / 'best.toml'}", {plan.figure: found.value})
    for key, share in found.importance.items():
        typer.echo(f"importance of {key}: {share:.2f}")
    if refit:
        from beholder.training import fit

        result = fit(found.config, output / f"refit-{found.trial}", quiet=quiet)  # a longer study may find a better one
        _print_figures(f"validation of {result.model}", result.figures)


def variant(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training that has ended.")],
    kind: Annotated[str, typer.Option("--kind", help="int8 (quicker), float16 or bfloat16 (smaller).")] = "int8",
    most_loss: Annotated[float, typer.Option("--most-loss", min=0, help="SRCC that it may lose.")] = 0.003,
    float_layers: Annotated[
        int, typer.Option("--float-layers", min=0, help="First convolutions that int8 leaves in floats.")
    ] = 3,
    quiet: Quiet = False,
) -> None:
    """Write a smaller or quicker variant of a trained model, where it agrees with people as well as the original."""
    from beholder.training.config import Config

    settings = Config.read(run / "config.toml")
    from beholder.training import open_data
    from beholder.training.variants import make_variant

    found = make_variant(
        run / "model.onnx",
        kind,  # type: ignore[arg-type]  # checked there
        open_data(settings, run),
        most_loss=most_loss,
        float_layers=float_layers,
        quiet=quiet,
    )
    size = (run / "model.onnx").stat().st_size
    typer.echo(
        f"{found.model}: SRCC {found.srcc:.4f}, of the original {found.original:.4f}; "
        f"{found.bytes / 1e6:.2f} MB, of the original {size / 1e6:.2f} MB"
    )


def parse_changes(given: Sequence[str], such: str = "run.epochs=3") -> dict[str, Any]:
    """KEY=VALUE texts as dotted keys and values: TOML where it is, else a word."""
    changes: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (equals and key.strip()):
            raise InputError(f"a change is KEY=VALUE such as {such}, got {text!r}")
        try:
            changes[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            changes[key.strip()] = value
    return changes


def _print_figures(
    title: str, figures: Mapping[str, float], intervals: Mapping[str, tuple[float, float]] | None = None
) -> None:
    told = []
    for name, value in figures.items():
        low, high = (intervals or {}).get(name, (None, None))
        span = "" if low is None else f" ({low:.4f} to {high:.4f})"
        told.append(f"{name} {value:.0f}" if name == "pictures" else f"{name} {value:.4f}{span}")
    typer.echo(f"{title}: " + ", ".join(told))


def _list() -> None:
    from beholder.losses.opinions import LOSSES, NEEDS
    from beholder.models.assessors.architectures import list_architectures

    found = {
        "architectures": {
            a.name: {"reference": a.reference, "gives": a.gives, "settings": a.settings, "paper": a.paper}
            for a in list_architectures()
        },
        "losses": {
            name: {"needs": NEEDS[name], "what": (f.__doc__ or "").split("\n")[0]} for name, f in LOSSES.items()
        },
    }
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
