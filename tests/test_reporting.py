"""Reports: every format gives back what it was given, survives faults, and the page never becomes a program."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beholder import errors, reporting
from beholder.errors import InputError, MissingExtraError, OutputError
from beholder.reporting import RowFile, read_rows, write_csv_stream, write_rows
from beholder.reporting.rows import escape_text, to_json, unescape_text

SCORE = ["beholder", "beholder_low", "beholder_high", "beholder_word"]
COLUMNS = ["image", "reference", "width", "height", *SCORE, "psnr", "ssim:skimage", "flags", "error"]
META: dict[str, Any] = {
    "version": "0.1.0",
    "created": "2026-11-22T22:00:00+00:00",
    "settings": {"metrics": ["beholder", "psnr", "ssim:skimage"], "min": {"beholder": 60}},
    "weights": {"beholder": "9f3c1ab2d417"},
    "metrics": [
        {"name": "beholder", "better": "higher", "range": [0, 100], "unit": "", "summary": "Opinion.", "paper": ""},
        {"name": "psnr", "better": "higher", "range": [0, math.inf], "unit": "dB", "summary": "Ratio.", "paper": ""},
    ],
}
ATTACK = "<img src=x onerror=alert(1)>.png"
NASTY = [
    ATTACK,
    "</script><script>document.title='taken'</script><!--.png",
    'commas, "quotes" and ; semicolons.png',
    "line\nbreak\r\n and tab\t.png",
    "=HYPERLINK(1)+@.png",
    "ünïcode 写真 🦉.png",
    "not utf-8 \udce9\udcff.png",
    "literal \\udce9 \\u005c \\\\.png",
    " spaces around ",
    "\x1b[31mred\x07\u202egnp.exe",
]


def make_row(number: int, name: str = "") -> dict[str, Any]:
    value = number * 7.3 % 100
    return {
        "image": name or f"/photos/IMG_{number:06}.jpg",
        "reference": f"/originals/{name}" if number % 2 else None,
        "width": 640,
        "height": 480,
        "beholder": value,
        "beholder_low": max(0.0, value - 14),
        "beholder_high": min(100.0, value + 14),
        "beholder_word": ("bad", "poor", "fair", "good", "excellent")[int(value // 20)],
        "psnr": math.inf if number % 5 == 0 else 20 + number / 7,
        "ssim:skimage": -(0.1**number) if number < 20 else 0.5,
        "flags": ["out_of_domain", "tiny"] if number % 3 == 0 else [],
        "error": "",
    }


def failed_row(name: str, error: str = "ReadError: empty file") -> dict[str, Any]:
    return dict.fromkeys(COLUMNS) | {"image": name, "flags": [], "error": error}


def make_rows(count: int) -> Iterator[dict[str, Any]]:
    return (make_row(number) for number in range(count))


def append_all(file: RowFile, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        file.append(row)


ROWS = [*(make_row(k, name) for k, name in enumerate(NASTY)), *map(failed_row, NASTY)]


# ---- round trips -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".CSV"])
def test_what_is_written_is_read_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"ergebnis üñ 1{ending}"
    write_rows(ROWS, path, COLUMNS, META)
    meta, rows = read_rows(path)
    assert rows == ROWS
    assert [list(row) for row in rows] == [COLUMNS] * len(ROWS)
    assert meta == ({} if ending.lower() == ".csv" else META)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_no_rows_make_a_file_of_no_rows(tmp_path: Path, ending: str) -> None:
    write_rows([], tmp_path / f"none{ending}", COLUMNS, META)
    assert read_rows(tmp_path / f"none{ending}")[1] == []


def test_csv_is_rfc_4180_for_another_reader(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "a.csv", COLUMNS, META)
    raw = (tmp_path / "a.csv").read_bytes()
    assert raw.startswith(",".join(COLUMNS).encode() + b"\r\n")
    raw.decode("utf-8")  # valid whatever the file names are
    found = list(csv.DictReader(io.StringIO(raw.decode(), newline="")))
    assert [row["image"] for row in found[:4]] == NASTY[:4]
    assert found[0]["psnr"] == "inf"
    assert found[3]["flags"] == "out_of_domain;tiny"
    assert found[-1]["beholder"] == ""
    assert float(found[1]["psnr"]) == ROWS[1]["psnr"]


def test_json_is_strictly_valid_and_infinity_survives(tmp_path: Path) -> None:
    write_rows(
        [*ROWS, make_row(1) | {"psnr": -math.inf}, make_row(1) | {"psnr": math.nan}], tmp_path / "a.json", COLUMNS, META
    )

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    document = json.loads((tmp_path / "a.json").read_text("utf-8"), parse_constant=refuse)
    assert document["rows"][0]["psnr"] == math.inf
    assert document["rows"][-2]["psnr"] == -math.inf
    assert document["rows"][-1]["psnr"] is None
    assert document["meta"]["metrics"][1]["range"][1] == math.inf


def test_parquet_types_follow_from_the_columns_even_when_all_is_empty(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_rows([failed_row("a.png")], tmp_path / "a.parquet", COLUMNS, META)
    write_rows(make_rows(9), tmp_path / "b.parquet", COLUMNS, META)
    empty, full = (pq.read_schema(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert empty == full
    assert {c: str(empty.field(c).type) for c in ("image", "width", "psnr", "beholder_word")} == {
        "image": "string",
        "width": "int64",
        "psnr": "double",
        "beholder_word": "string",
    }
    assert str(empty.field("flags").type.value_type) == "string"
    assert json.loads(empty.metadata[b"beholder"]) == META


def test_parquet_is_written_in_batches(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_rows(make_rows(5000), tmp_path / "a.parquet", COLUMNS, META)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [4096, 904]


FILE_TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=("Cs",)),
        st.sampled_from("\\ud5c0"),
    )
)


@given(FILE_TEXT)
def test_every_text_survives_its_escape(text: str) -> None:
    escaped = escape_text(text)
    escaped.encode("utf-8")
    assert unescape_text(escaped) == text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(JSON_VALUES)
def test_json_text_means_the_value(value: Any) -> None:
    assert json.loads(to_json(value), parse_constant=pytest.fail) == value


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(FILE_TEXT, st.none() | st.floats(allow_nan=False)), max_size=5))
def test_any_name_and_number_survive_csv(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.csv"
    rows = [{"image": name, "mse": value, "error": ""} for name, value in cells]
    write_rows(rows, path, ["image", "mse", "error"], {})
    assert read_rows(path)[1] == rows


def test_numbers_of_numpy_and_missing_keys_are_taken(tmp_path: Path) -> None:
    row = {"image": "a.png", "width": np.int64(4), "psnr": np.float32(0.5), "beholder": math.nan}
    write_rows([row], tmp_path / "a.json", COLUMNS, META)
    assert read_rows(tmp_path / "a.json")[1] == [failed_row("a.png", "") | {"width": 4, "psnr": 0.5}]


# ---- resuming --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".html"])
def test_an_interrupted_run_goes_on_and_equals_one_that_was_not(tmp_path: Path, ending: str) -> None:
    whole, parts = tmp_path / f"whole{ending}", tmp_path / f"parts{ending}"
    write_rows(ROWS, whole, COLUMNS, META, max_thumbnails=0)
    for stop in (3, 3, 11, len(ROWS)):
        with RowFile(parts, COLUMNS, {**META, "created": "later"}, max_thumbnails=0) as file:
            assert list(file.keys()) == [(r["image"], r["reference"] or "") for r in ROWS[: file.done]]
            for row in ROWS[file.done : stop]:
                file.append(row)
            assert not parts.exists()
    with RowFile(parts, COLUMNS, META, max_thumbnails=0) as file:
        assert file.done == len(ROWS)
        file.finish()
    assert not file.journal.exists()
    if ending == ".parquet":
        assert read_rows(parts) == read_rows(whole)
    else:
        assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("torn", [b"[", b'["a.png",null,640', b'["a.png"]\n', b"\x00\x00\x00\n", b"nonsense\n"])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        for row in ROWS[:4]:
            file.append(row)
    with file.journal.open("ab") as journal:
        journal.write(torn)
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        assert file.done == 4
        file.append(ROWS[4])
        file.finish()
    assert read_rows(tmp_path / "a.csv")[1] == ROWS[:5]


def test_what_follows_a_broken_line_does_not_come_back(tmp_path: Path) -> None:
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        append_all(file, ROWS[:3])
    header, first, second, third = file.journal.read_bytes().splitlines(keepends=True)
    broken = b"x" * (len(second) - 1) + b"\n"  # as long as the row that will take its place
    file.journal.write_bytes(header + first + broken + third)
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        assert file.done == 1
        file.append(ROWS[1])
        file.finish()
    assert read_rows(tmp_path / "a.csv")[1] == ROWS[:2]


def test_a_journal_torn_anywhere_never_invents_or_doubles_a_row(tmp_path: Path) -> None:
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        for row in ROWS[:3]:
            file.append(row)
    raw = file.journal.read_bytes()
    for length in range(0, len(raw), 7):
        file.journal.write_bytes(raw[:length])
        with RowFile(tmp_path / "a.csv", COLUMNS, META) as again:
            assert again.done == max(raw[:length].count(b"\n") - 1, 0)
            assert [image for image, _ in list(again.keys())] == NASTY[: again.done]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_sigkill_loses_no_row_that_was_appended(tmp_path: Path) -> None:
    program = (
        "import sys; from beholder.reporting import RowFile\n"
        "file = RowFile(sys.argv[1], ['image', 'psnr', 'error'], {})\n"
        "for k in range(10**9):\n"
        "    file.append({'image': f'{k}.png', 'psnr': k}); print(k, flush=True)"
    )
    source = str(Path(errors.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a.csv")], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        told = process.stdout
        assert told is not None
        seen = [int(told.readline()) for _ in range(200)][-1]
        process.kill()
        rest = told.read().split()
    last = int(rest[-1]) if rest and rest[-1].isdigit() else seen
    with RowFile(tmp_path / "a.csv", ["image", "psnr", "error"], {}) as file:
        names = [name for name, _ in list(file.keys())]
    assert len(names) > seen
    assert names == [f"{k}.png" for k in range(len(names))]
    assert len(names) >= last - 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"settings": {"min": {"beholder": 50}}}, "settings['min']"),
        ({"version": "9.9"}, "version"),
        ({"weights": {}}, "weights"),
    ],
)
def test_a_run_of_other_settings_is_not_resumed(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = tmp_path / "a.csv"
    with RowFile(path, COLUMNS, META) as file:
        file.append(ROWS[0])
    with pytest.raises(OutputError, match="--restart") as caught:
        RowFile(path, COLUMNS, {**META, **change})
    assert told in str(caught.value)
    with pytest.raises(OutputError, match="columns"):
        RowFile(path, [*COLUMNS[:-2], "gmsd", *COLUMNS[-2:]], META)
    with RowFile(path, COLUMNS, META) as file:
        assert file.done == 1  # the refused runs left it as it was
    with RowFile(path, COLUMNS, {**META, **change}, restart=True) as file:
        assert file.done == 0


def test_a_foreign_journal_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "a.csv.partial.jsonl"
    foreign.write_bytes(b"my diary\n")
    with pytest.raises(OutputError, match="not a journal"):
        RowFile(tmp_path / "a.csv", COLUMNS, META)
    assert foreign.read_bytes() == b"my diary\n"


@pytest.mark.skipif(sys.platform == "win32", reason="advisory locks are used on POSIX only")
def test_two_runs_into_one_file_are_kept_apart(tmp_path: Path) -> None:
    with RowFile(tmp_path / "a.csv", COLUMNS, META), pytest.raises(OutputError, match="another run"):
        RowFile(tmp_path / "a.csv", COLUMNS, META)


# ---- faults ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "told"),
    [("a.xlsx", "csv, .json"), ("a", "csv, .json"), ("missing/a.csv", "does not exist"), ("folder.csv", "the folder")],
)
def test_a_bad_place_is_told_before_any_work(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match=re.escape(told)):
        RowFile(tmp_path / name, COLUMNS, META)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.csv"]


def test_a_read_only_target_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("precious")
    (tmp_path / "a.csv").chmod(0o444)
    with pytest.raises(OutputError, match="read-only"):
        RowFile(tmp_path / "a.csv", COLUMNS, META)
    assert (tmp_path / "a.csv").read_text() == "precious"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody may create files: /proc")
def test_a_folder_that_takes_no_files_is_told_before_any_work() -> None:
    with pytest.raises(OutputError, match="choose another place"):
        RowFile("/proc/a.csv", COLUMNS, META)


@pytest.fixture
def size_limit() -> Iterator[Any]:
    """A real full disk in small: the kernel refuses to let any file grow beyond the given size."""
    resource = pytest.importorskip("resource", reason="file size limits exist on POSIX only")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before if size is None else (size, before[1]))

    yield limit
    limit(None)


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".html"])
def test_a_full_disk_at_the_end_keeps_the_rows_and_the_old_file(tmp_path: Path, ending: str, size_limit: Any) -> None:
    path = tmp_path / f"a{ending}"
    path.write_text("older results")
    with RowFile(path, COLUMNS, META, max_thumbnails=0) as file:
        append_all(file, make_rows(100))
        size_limit(2000)
        with pytest.raises(OutputError, match="all rows are safe"):
            file.finish()
        size_limit(None)
        assert path.read_text() == "older results"
        assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, file.journal.name]
        file.finish()
    assert path.stat().st_size > 2000
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_in_the_middle_leaves_whole_rows_only(tmp_path: Path, size_limit: Any) -> None:
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        size_limit(4321)
        with pytest.raises(OutputError, match="safe there"):
            append_all(file, make_rows(100))
        size_limit(None)
    raw = file.journal.read_bytes()
    assert raw.endswith(b"\n")
    assert len(raw) <= 4321
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        assert 10 < file.done < 100
        append_all(file, list(make_rows(100))[file.done :])
        file.finish()
    assert read_rows(tmp_path / "a.csv")[1] == list(make_rows(100))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_output_stream_is_an_output_error() -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115  # closing flushes, and must not fail
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_csv_stream(ROWS, COLUMNS, file=full)
    finally:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, full.fileno())
        os.close(sink)
        full.close()


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r'pip install "beholder\[parquet\]"'):
        RowFile(tmp_path / "a.parquet", COLUMNS, META)
    assert not list(tmp_path.iterdir())


def test_a_row_that_does_not_fit_is_told(tmp_path: Path) -> None:
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        with pytest.raises(InputError, match="gmsd"):
            file.append({**ROWS[0], "gmsd": 1.0})
        with pytest.raises(InputError, match="'psnr'"):
            file.append({**ROWS[0], "psnr": "high"})
    with RowFile(tmp_path / "a.csv", COLUMNS, META) as file:
        assert file.done == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "x"),
        ("a.csv", 'image,psnr\n"open'),
        ("a.csv", "image,psnr\na.png,1,2\n"),
        ("a.json", "[]"),
        ("a.json", "{"),
        ("a.parquet", "no"),
    ],
)
def test_foreign_content_is_an_input_error(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError):
        read_rows(tmp_path / name)
    with pytest.raises(InputError, match="cannot read"):
        read_rows(tmp_path / "missing.csv")


@pytest.mark.skipif(sys.platform == "win32", reason="links need privileges on Windows")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "latest.csv").symlink_to(tmp_path / "real" / "a.csv")
    write_rows(ROWS, tmp_path / "latest.csv", COLUMNS, META)
    assert (tmp_path / "latest.csv").is_symlink()
    assert read_rows(tmp_path / "real" / "a.csv")[1] == ROWS


def peak_memory(path: Path, count: int) -> int:
    tracemalloc.start()
    try:
        write_rows(make_rows(count), path, COLUMNS, META, max_thumbnails=20)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".html"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, ending: str) -> None:
    few, many = (4096, 12288) if ending == ".parquet" else (500, 5000)
    path = tmp_path / f"a{ending}"
    write_rows(make_rows(few), path, COLUMNS, META, max_thumbnails=20)  # imports are not counted
    assert peak_memory(path, many) < 1.3 * peak_memory(path, few) + 100_000


# ---- streams ---------------------------------------------------------------------------------------------------
def test_rows_stream_into_a_pipe_as_they_come() -> None:
    out = io.StringIO()
    seen: list[int] = []

    def watched() -> Iterator[dict[str, Any]]:
        for row in ROWS:
            seen.append(out.getvalue().count("ReadError") if row["error"] else 0)
            yield row

    write_csv_stream(watched(), COLUMNS, file=out)
    assert seen[len(NASTY) :] == list(range(len(NASTY)))
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert len(rows) == len(ROWS)
    assert out.getvalue().splitlines()[0] == ",".join(COLUMNS)


def test_the_stream_is_utf8_whatever_the_locale() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    write_csv_stream([make_row(0, "写真.png")], COLUMNS, file=out)
    assert "写真.png" in raw.getvalue().decode("utf-8")
    assert b"\r" not in raw.getvalue()


def test_the_public_names_are_sorted_and_there() -> None:
    assert reporting.__all__ == sorted(reporting.__all__)
    assert all(hasattr(reporting, name) for name in reporting.__all__)
