"""The table on the terminal: what it says, how it fits, and that no file name commands the terminal."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import pytest

from beholder.reporting import print_table
from beholder.reporting.terminal import elide, printable

SCORE = ["beholder", "beholder_low", "beholder_high", "beholder_word"]
COLUMNS = ["image", "reference", "width", "height", *SCORE, "psnr", "ssim:skimage", "flags", "error"]
META: dict[str, Any] = {"version": "0.1.0", "settings": {"min": {"beholder": 60}, "max": {"psnr": 90}}}
ATTACK = "\x1b[31mred\x07\u202egnp \udce9\r\n.exe"


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
        "ssim:skimage": -(0.1**number) if number < 20 else 0.5,
        "flags": ["out_of_domain", "tiny"] if number % 3 == 0 else [],
    }


def failed_row(name: str, error: str = "ReadError: empty file") -> dict[str, Any]:
    return {"image": name, "error": error}


def table_of(rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, width: int = 120) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    out = io.StringIO()
    print_table(rows, COLUMNS, META, file=out)
    return out.getvalue()


def test_the_table_shows_score_interval_word_threshold_flags_and_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    row = make_row(1, "holiday.jpg") | {
        "beholder": 63.2,
        "beholder_low": 45.2,
        "beholder_high": 81.2,
        "beholder_word": "good",
    }
    low = make_row(3, "night.jpg") | {"beholder": 30.0, "psnr": 30.0}
    text = table_of([row, low, failed_row("gone.jpg")], monkeypatch)
    lines = text.splitlines()
    assert re.match(
        r"holiday\.jpg\s+640×480\s+63 ±18 +good\s+20\.14\s+-0\.1000$", next(x for x in lines if "holiday" in x)
    )
    assert "beholder < 60, out_of_domain, tiny" in next(x for x in lines if "night" in x)
    assert re.match(r"gone\.jpg\s+ReadError: empty file$", next(x for x in lines if "gone" in x))
    assert re.match(r"mean\s+47\s+25\.07", lines[-3])
    assert re.match(r"median\s+47\s+25\.07", lines[-2])
    assert lines[-1] == "3 pictures, 1 error"
    assert "\x1b" not in text


def test_a_value_above_its_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = table_of([make_row(11) | {"psnr": 90.5}, make_row(12) | {"psnr": 90.0}], monkeypatch)
    assert text.count("psnr > 90") == 1


def test_the_table_keeps_the_order_and_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    text = table_of([make_row(k) for k in range(300)], monkeypatch)
    assert re.findall(r"IMG_(\d+)", text) == [f"{k:06}" for k in range(300)]


def test_a_file_name_cannot_command_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = table_of([make_row(1, ATTACK), failed_row(ATTACK, ATTACK)], monkeypatch, width=200)
    assert text.count("\\x1b[31mred\\x07\\u202egnp \\udce9\\x0d\\x0a.exe") == 3
    assert not set(text) & {"\x1b", "\x07", "\u202e", "\r", "\udce9"}
    assert printable("[bold]not markup[/bold]") == "[bold]not markup[/bold]"
    assert "[bold]x" in table_of([make_row(1, "[bold]x.png")], monkeypatch)


@pytest.mark.parametrize("colour", [True, False])
def test_colour_only_repeats_the_words(monkeypatch: pytest.MonkeyPatch, colour: bool) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    text = table_of([make_row(1, "a.png"), failed_row("b.png")], monkeypatch)
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]", text)) is colour
    assert "bad" in text


def test_names_lose_their_middle_and_a_shared_folder_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "/a very long folder of photographs" * 3
    text = table_of([make_row(k, f"{folder}/{k} {'x' * 90} end.jpg") for k in (1, 2)], monkeypatch, width=90)
    assert f"in {folder}/" in text
    assert re.search(r"^1 x+…x+ end\.jpg ", text, re.M)
    assert re.search(r"^2 x+…x+ end\.jpg ", text, re.M)
    assert elide("写真" * 30, 21).count("写") < 8


def test_the_table_prints_in_plain_ascii_where_the_terminal_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setenv("COLUMNS", "120")
    print_table([make_row(3, "ünï.png"), make_row(7, "x" * 200)], COLUMNS, META, file=out)
    out.flush()
    assert b"\\xfcn\\xef.png" in raw.getvalue()
    assert b"22 +-14" in raw.getvalue() or b"22 8-36" in raw.getvalue()


def test_the_median_withstands_infinity_and_a_single_row(monkeypatch: pytest.MonkeyPatch) -> None:
    text = table_of([make_row(k) for k in (0, 1, 2)], monkeypatch)
    assert re.search(r"mean .* inf ", text)
    assert re.search(r"median .* 20\.29 ", text)
    assert "1 picture, 0 errors" in table_of([make_row(1)], monkeypatch)
    assert "0 pictures, 0 errors" in table_of([], monkeypatch)
