"""Make the documentation's pictures anew: docs/img/samples.jpg, and docs/img/report.png where Chromium is installed.

    python scripts/doc_pictures.py

To be run after a change of the report, the samples or the shipped weights.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/img"
HEIGHT, GAP = 150, 8
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def row_of(folder: Path) -> list[Image.Image]:
    """The pictures of a folder, all of one height."""
    pictures = [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())]
    return [p.resize((round(p.width * HEIGHT / p.height), HEIGHT), Image.Resampling.LANCZOS) for p in pictures]


def make_samples() -> None:
    """The originals in a row, and the degraded pictures below them."""
    rows = [row_of(ROOT / "samples" / name) for name in ("originals", "degraded")]
    width = sum(p.width + GAP for p in rows[0]) - GAP
    sheet = Image.new("RGB", (width, 2 * HEIGHT + GAP), "white")
    for number, pictures in enumerate(rows):
        left = 0
        for picture in pictures:
            sheet.paste(picture, (left, number * (HEIGHT + GAP)))
            left += picture.width + GAP
    sheet.save(OUT / "samples.jpg", quality=85)


def make_report() -> None:
    """The upper part of the report over the samples, as a browser shows it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium found: report.png stays as it is")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report, shot = folder / "report.html", folder / "shot.png"
        command = [sys.executable, "-m", "beholder", "score", "samples", "-q", "-o", str(report)]
        subprocess.run(command, cwd=ROOT, check=True)
        options = [*QUIET, f"--user-data-dir={folder / 'browser'}", "--window-size=1100,1080", f"--screenshot={shot}"]
        subprocess.run([browser, *options, report.as_uri()], check=True, stderr=subprocess.DEVNULL)
        picture = Image.open(shot).convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
        picture.save(OUT / "report.png", optimize=True)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    make_samples()
    make_report()
