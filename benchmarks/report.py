"""Write docs/benchmarks.md from the results."""

import json
from collections.abc import Iterable
from typing import Any

from common import HERE, RESULTS

DOCS = HERE.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `benchmarks/run`, which makes an environment of its own, installs the peers, and measures everything on one
machine; do not edit by hand. Medians, with the quartiles in brackets; whatever is compared was run in turn, round by
round. Numbers of your machine will differ, ratios less so.
"""
ARRAYS = """
## Arrays in memory

uint8 luma planes of a photograph, and of the same photograph with noise and JPEG on it; {threads} threads; the public
call of each library, with its checks. "Difference" is the value less Beholder's float64 definition (`card.function`),
of the default preset, unless another one is named: `ssim` has a different meaning in some libraries, so they are held
against the preset that means the same. "Times Beholder" below 1 is faster than Beholder.
"""
FOLDER = """
## A folder of JPEG pairs

{count} pairs of {side}x{side} pixels, out of scikit-image's photographs: the references at quality 95
({ref:.2f} bytes a pixel), the distorted ones decoded from them and encoded at qualities from 12 to 88 ({dist:.2f} bytes
a pixel). Wall time of the whole process, start-up and all, on {cores} cores. "Decode only" is what two threads take to
read and decode the files, in a process that is up already. The peers run as their examples
show it, in a plain loop, with Pillow or simplejpeg to decode, and as fast as we could make them, spread over both cores
by a pool of threads. "Pairs per CPU second" counts the time of all threads and child processes: it hardly depends
on what else the machine was doing, and says nothing of how well the cores were used. `ssim:y` of the peers is on luma
rounded to bytes by OpenCV, and fast-ssim's is the uniform window of 7x7 (it has no Gaussian one), so its work is less.
ffmpeg compares the planes of the JPEG files as they are (no conversion to RGB), and its `ssim` is on overlapping blocks
of 8x8.
"""
COLD = """
## Starting

The first call ever compiles the kernels; they are kept on disk for later processes.
"""


WORDS = (
    "Library", "Program", "Computes", "Call (1920x1080)", "Command, one megapixel, later process", "Metric", "Better",
    "Exceptions", "Picture", "Pair", "Values", "Why", "Equal to", "Beholder's values",
)  # fmt: skip


def load(name: str) -> dict[str, Any]:
    """A part of the results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, words to the left, numbers to the right."""
    header = list(header)
    lines = [
        "| " + " | ".join(header) + " |",
        "|" + "|".join([" --- " if h in WORDS else " ---: " for h in header]) + "|",
    ]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def milliseconds(took: dict[str, float]) -> str:
    digits = 3 if took["median"] < 0.001 else 2 if took["median"] < 0.1 else 0
    median, low, high = (f"{took[k] * 1e3:,.{digits}f}" for k in ("median", "low", "high"))
    return f"{median} ({low}–{high})"


def seconds(took: dict[str, float]) -> str:
    return f"{took['median']:.2f} ({took['low']:.2f}–{took['high']:.2f})"


def arrays(found: dict[str, Any]) -> str:
    text = ARRAYS.format(threads=found["threads"])
    parts = dict.fromkeys((r["metric"], r["width"], r["height"]) for r in found["rows"])
    for metric, width, height in sorted(parts, key=lambda p: ("ssim", "psnr", "gmsd").index(p[0])):
        rows = [r for r in found["rows"] if (r["metric"], r["width"], r["height"]) == (metric, width, height)]
        text += f"\n### {metric}, {width}x{height}\n\n"
        cells = []
        for r in sorted(rows, key=lambda r: r["seconds"]["median"]):
            name = f"**{r['library']}**" if r["library"] == "beholder" else r["library"]
            against = "" if r["definition"] == metric else f" to `{r['definition']}`"
            cells.append(
                [name, milliseconds(r["seconds"]), f"{r['ratio']:.2f}", f"{r['value']:.7f}",
                 f"{r['difference']:+.1e}{against}", r["note"]]
            )  # fmt: skip
        text += table(("Library", "ms", "Times Beholder", "Value", "Difference", "Computes"), cells)
    return text


def folder(found: dict[str, Any]) -> str:
    density = found["bytes_per_pixel"]
    text = FOLDER.format(**found, ref=density["ref"], dist=density["dist"], cores=found["machine"]["cores"])
    groups = dict.fromkeys(r["group"] for r in found["rows"])
    decode = next(r["rate"] for r in found["rows"] if r["name"].startswith("simplejpeg"))
    for group in groups:
        rows = sorted((r for r in found["rows"] if r["group"] == group), key=lambda r: -r["rate"])
        own = next((r["rate"] for r in rows if r["name"] == "beholder"), None)
        text += f"\n### {group}\n\n"
        cells = []
        for r in rows:
            ratio = f"{own / r['rate']:.2f}" if own else ""
            name = f"**{r['name']}**" if r["name"] == "beholder" else r["name"]
            share = f"{r['rate'] / decode:.0%}" if group.startswith(("psnr", "decode")) else ""
            cells.append(
                [
                    name,
                    str(r["pairs"]),
                    seconds(r["seconds"]),
                    f"{r['rate']:.1f}",
                    ratio,
                    share,
                    f"{r['pairs'] / r['seconds']['cpu']:.1f}",
                ]
            )
        header = (
            "Program",
            "Pairs",
            "Seconds",
            "Pairs/s",
            "Beholder is faster by",
            "Share of decode-only rate",
            "Pairs per CPU second",
        )
        text += table(header, cells)
    return text


def cold(found: dict[str, Any]) -> str:
    cells = []
    for name, took in found["first_calls"].items():
        cells.append([name, seconds(took["call"]), seconds(took["import_and_call"]), seconds(took["process"])])
    text = COLD + "\n" + table(("Call (1920x1080)", "Call, s", "Imports and call, s", "Whole process, s"), cells)
    cells = [[f"`{name}`", seconds(took)] for name, took in found["photograph"].items()]
    text += "\n" + table(("Command, one megapixel, later process", "Whole process, s"), cells)
    if size := found["installed"]:
        parts = ", ".join(f"{k.removeprefix('of it ')} {v:.0f}" for k, v in size.items() if k.startswith("of it"))
        text += f"\nInstalled: {size['total']:.0f} MB in a fresh environment with `pip install .` (of it {parts}).\n"
    return text


def main() -> None:
    parts = {name: load(name) for name in ("arrays", "folder", "cold") if (RESULTS / f"{name}.json").exists()}
    machine = next(iter(parts.values()))["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    text = (
        HEAD + f"\n{machine['processor']}, {machine['cores']} cores, {machine['system']}; Python {machine['python']}; "
    )
    text += f"{versions}.\n"
    writers = {"arrays": arrays, "folder": folder, "cold": cold}
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text(text + "".join(writers[name](found) for name, found in parts.items()))


if __name__ == "__main__":
    main()
