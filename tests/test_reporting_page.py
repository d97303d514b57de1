"""The HTML report: well formed, self-contained, true to its rows, and never the program of a file name."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beholder.reporting import write_rows

SCORE = ["beholder", "beholder_low", "beholder_high", "beholder_word"]
COLUMNS = ["image", "reference", "width", "height", *SCORE, "psnr", "ssim:skimage", "flags", "error"]
META: dict[str, Any] = {
    "version": "0.1.0",
    "created": "2026-11-22T22:00:00+00:00",
    "settings": {"min": {"beholder": 60}, "list": "</script><script>document.title='taken'</script>"},
    "weights": {"beholder": "9f3c1ab2d417"},
    "metrics": [{"name": "psnr", "better": "higher", "range": [0, math.inf], "unit": "dB", "summary": "<b>Ratio</b>"}],
}
ATTACK = "<img src=x onerror=alert(1)>.png"
NASTY = [
    ATTACK,
    "</script><script>document.title='taken'</script><!--.png",
    "line\nbreak \u2028 写真 🦉.png",
    "not utf-8 \udce9\udcff.png",
    "\x1b[31mred\u202egnp.exe",
]


def make_row(number: int, name: str = "") -> dict[str, Any]:
    value = number * 7.3 % 100
    return {
        "image": name or f"/photos/IMG_{number:06}.jpg",
        "width": 640,
        "height": 480,
        "beholder": value,
        "beholder_low": max(0.0, value - 14),
        "beholder_high": min(100.0, value + 14),
        "beholder_word": ("bad", "poor", "fair", "good", "excellent")[int(value // 20)],
        "psnr": math.inf if number % 5 == 0 else 20 + number / 7,
        "ssim:skimage": 0.5,
        "flags": ["out_of_domain", "tiny"] if number % 3 == 0 else [],
    }


def make_rows(count: int) -> Iterator[dict[str, Any]]:
    return (make_row(number) for number in range(count))


VOID = {"meta", "input", "br", "img", "link"}


class Page(HTMLParser):
    """Collects the scripts and attributes of a page, and fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: dict[str, str] = {}
        self.styles = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        if tag == "script":
            self.scripts[dict(attrs).get("id") or "program"] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[list(self.scripts)[-1]] += data
        if self.open and self.open[-1] == "style":
            self.styles += data


def picture(path: Path, value: int, size: tuple[int, int] = (300, 400)) -> str:
    from PIL import Image

    rng = np.random.default_rng(value)
    Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
    return str(path)


@pytest.fixture
def page_path(tmp_path: Path) -> Path:
    rows = [make_row(k, name) for k, name in enumerate(NASTY)]
    rows += [
        make_row(21, picture(tmp_path / "worst.png", 1))
        | {"beholder": 1.0, "reference": picture(tmp_path / "ref.png", 2)},
        make_row(22, picture(tmp_path / "best.png", 3)) | {"beholder": 99.0},
        {"image": ATTACK, "error": f"ReadError: {ATTACK}"},
    ]
    path = tmp_path / "report.html"
    write_rows(rows, path, COLUMNS, META)
    return path


def test_the_page_is_well_formed_and_holds_every_row(page_path: Path) -> None:
    page = Page(page_path.read_text("utf-8"))
    rows = json.loads(page.scripts["data-rows"])
    assert [row[0] for row in rows[: len(NASTY)]] == NASTY
    assert len(rows) == len(NASTY) + 3
    known = json.loads(page.scripts["data-meta"])
    assert known["meta"] == META
    assert known["columns"] == COLUMNS
    assert known["limits"] == {"beholder": [60, None]}
    assert [m["name"] for m in known["metrics"]] == ["beholder", "psnr", "ssim:skimage"]
    assert ("html", "lang", "en") in page.attributes


def test_the_page_needs_no_network(page_path: Path) -> None:
    text = page_path.read_text("utf-8")
    page = Page(text)
    for tag, key, value in page.attributes:
        assert not re.fullmatch("src|srcset|action|style|on.*", key), (tag, key, value)
        assert key != "href" or value.startswith("#"), (tag, key, value)
    assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest|import\(|WebSocket|innerHTML|outerHTML|eval\(", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page.styles + page.scripts["program"])
    policy = next(value for tag, key, value in page.attributes if tag == "meta" and value.startswith("default-src"))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_file_names_cannot_become_markup(page_path: Path) -> None:
    text = page_path.read_text("utf-8")
    page = Page(text)
    assert set(page.scripts) == {"data-meta", "data-rows", "data-pictures", "program"}
    for block in ("data-meta", "data-rows", "data-pictures"):
        assert "<" not in page.scripts[block]
    assert "<img" not in text


def test_the_policy_allows_just_the_program_that_is_there(page_path: Path) -> None:
    page = Page(page_path.read_text("utf-8"))
    policy = next(value for _, _, value in page.attributes if value.startswith("default-src"))
    for text, kind in ((page.scripts["program"], "script-src"), (page.styles, "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


def decode(uri: str) -> Any:
    from PIL import Image

    head, _, body = uri.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_pictures_are_shown_small_and_large_with_their_references(page_path: Path) -> None:
    pictures = json.loads(Page(page_path.read_text("utf-8")).scripts["data-pictures"])
    assert list(pictures) == [str(len(NASTY)), str(len(NASTY) + 1)]  # the worst first; what cannot be read has none
    worst = pictures[str(len(NASTY))]
    assert [decode(uri).size for uri in worst["thumb"]] == [(160, 120)] * 2
    assert [decode(uri).size for uri in worst["large"]] == [(400, 300)] * 2  # never enlarged


@pytest.mark.parametrize(("better", "chosen"), [("higher", ["0", "1"]), ("lower", ["3", "2"])])
def test_the_worst_pictures_get_the_thumbnails(tmp_path: Path, better: str, chosen: list[str]) -> None:
    columns = ["image", "gmsd", "error"]
    rows = [{"image": picture(tmp_path / f"{k}.png", k, (40, 40)), "gmsd": k / 10} for k in range(4)]
    rows.append({"image": rows[0]["image"], "error": "SizeError: too small"})
    meta = {"metrics": [{"name": "gmsd", "better": better}]}
    write_rows(rows, tmp_path / "a.html", columns, meta, max_thumbnails=2)
    assert list(json.loads(Page((tmp_path / "a.html").read_text("utf-8")).scripts["data-pictures"])) == chosen


def test_deep_and_grey_pictures_get_true_thumbnails(tmp_path: Path) -> None:
    from PIL import Image

    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    write_rows([{"image": str(tmp_path / "deep.png"), "niqe": 3.0}], tmp_path / "a.html", ["image", "niqe"], {})
    shown = json.loads(Page((tmp_path / "a.html").read_text("utf-8")).scripts["data-pictures"])["0"]["thumb"][0]
    row = np.asarray(decode(shown).convert("L"), float)[20]
    assert np.abs(row - np.linspace(0, 255, len(row))).max() < 8


def test_twenty_thousand_rows_make_a_page_of_a_few_megabytes(tmp_path: Path) -> None:
    write_rows(make_rows(20_000), tmp_path / "a.html", COLUMNS, META, max_thumbnails=0)
    assert (tmp_path / "a.html").stat().st_size < 6e6
    assert len(json.loads(Page((tmp_path / "a.html").read_text("utf-8")).scripts["data-rows"])) == 20_000


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to draw the page")
def test_a_browser_draws_the_page_and_runs_nothing_else(page_path: Path, tmp_path: Path) -> None:
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command += ["--enable-logging=stderr", "--dump-dom", page_path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert not re.search(r"CONSOLE|Refused to", done.stderr), done.stderr
    page = Page(re.sub(r"</?(?:path|circle|rect|line|text|svg|title)\b[^>]*>", "", done.stdout))
    assert "<title>Image quality report" in done.stdout
    assert [value for _, key, value in page.attributes if key == "aria-sort"] == ["ascending"]
    sources = [value for tag, key, value in page.attributes if tag == "img" and key == "src"]
    assert len(sources) == 2
    assert all(value.startswith("data:image/webp") for value in sources)
    body = done.stdout.partition("<tbody>")[2].partition("</tbody>")[0]
    shown = re.findall(r'<span class="number">(\d+)</span>', body)
    assert [int(v) for v in shown] == sorted(int(v) for v in shown)
    assert len(shown) == len(NASTY) + 2
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in body
    assert "mark-fail" in body
    assert "ReadError" in done.stdout.partition('id="error-list"')[2]
