"""The command line's part for saved features of sets: `beholder features`; mounted by cli.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beholder.errors import InputError, OutputError

FAILED = 3


def features(
    images: Annotated[str, typer.Argument(metavar="SET", help="A folder, pattern or list of pictures.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.npz", help="For `beholder compare`.")],
    network: Annotated[
        str, typer.Option("--features", metavar="beholder|inception", help="The network that looks at the pictures.")
    ] = "beholder",
    weights: Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="Inception's weights.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Pictures looked at at once [default: one per processor].")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Save a set's features, so that it can be compared with many others and is looked at once."""
    from beholder.metrics.sets import FeatureSet
    from beholder.sets import collect_features, open_set

    if output.suffix.lower() != ".npz" or not output.parent.is_dir():
        raise OutputError(f"expected the name of a .npz file in a folder that exists, got {str(output)!r}")
    given = open_set(images)
    if isinstance(given, FeatureSet):
        raise InputError(f"{images!r} holds features already; pass pictures")
    failed: list[tuple[str, str]] = []
    try:
        found = collect_features(given, network, weights=weights, workers=workers, failed=failed, progress=not quiet)
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was written", err=True)
        raise
    for name, error in failed:
        typer.echo(f"{name}: {error}", err=True)
    if not found.count:
        raise InputError(f"none of the {len(failed)} pictures of {images!r} could be read; nothing was written")
    found.save(output)
    if not quiet:
        typer.echo(f"{output}: {found.size} features of {found.count} pictures by {found.name}", err=True)
    raise typer.Exit(FAILED if failed else 0)
