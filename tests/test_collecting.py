"""Finding pictures and pairing them with their references."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from beholder.collecting import expand, natural_key, partners
from beholder.errors import InputError, PairError, ReadError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(paths: object, root: Path) -> list[str]:
    return [os.path.relpath(p, root) for p in paths]  # type: ignore[union-attr, attr-defined]


def test_a_folder_gives_its_pictures_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "10.jpg", "2.JPG", "a/1.png", "b.txt", ".hidden.png", ".git/x.png", "ünï côde (1).webp", "1.tif")
    assert names(expand([tmp_path]), tmp_path) == ["1.tif", "2.JPG", "10.jpg", "ünï côde (1).webp", "a/1.png"]


def test_patterns_lists_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "x/a1.png", "x/a10.png", "x/a2.png", "x/[b].png")
    (tmp_path / "list.txt").write_text("# mine\nx/a1.png\n\nx/gone.png\r\n/abs.png\n")
    assert names(expand([f"{tmp_path}/x/a*.png"]), tmp_path) == ["x/a1.png", "x/a2.png", "x/a10.png"]
    assert names(expand([f"{tmp_path}/**/a1*.png"]), tmp_path) == ["x/a1.png", "x/a10.png"]
    assert list(expand([tmp_path / "x" / "[b].png"])) == [str(tmp_path / "x" / "[b].png")]
    assert list(expand([tmp_path / "list.txt"])) == [f"{tmp_path}/x/a1.png", f"{tmp_path}/x/gone.png", "/abs.png"]
    assert list(expand(["gone.png", "also gone.png"])) == ["gone.png", "also gone.png"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfone.png\r\ntwo two.png\nbad\xff.png\n")))
    assert list(expand(["-"])) == ["one.png", "two two.png", os.fsdecode(b"bad\xff.png")]


def test_nothing_found_is_an_error_that_says_where(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt.md")
    with pytest.raises(InputError, match="no pictures in the folder"):
        list(expand([tmp_path]))
    with pytest.raises(InputError, match="no file matches"):
        list(expand([f"{tmp_path}/*.png"]))
    with pytest.raises(ReadError, match="cannot read the list"):
        list(expand([tmp_path / "none.txt"]))
    with pytest.raises(InputError, match="no pictures in the folder of references"):
        partners(tmp_path)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match="names no pictures"):
        list(expand([tmp_path / "empty.txt"]))
    (tmp_path / "wide.txt").write_text("a.png\n", encoding="utf-16")
    with pytest.raises(ReadError, match="UTF-16"):
        list(expand([tmp_path / "wide.txt"]))
    with pytest.raises(InputError, match="is empty"):
        list(expand([""]))
    with pytest.raises(InputError, match="does not exist"):
        partners(tmp_path / "gone.png")


def test_names_that_look_like_patterns_or_cannot_be_looked_at_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "g[1]/a.png", "g[1]/b.png")
    assert names(expand([f"{tmp_path}/g[1]/*.png"]), tmp_path) == ["g[1]/a.png", "g[1]/b.png"]
    assert names(expand([f"{tmp_path}/g[1]/gone[2].png"]), tmp_path) == ["g[1]/gone[2].png"]
    assert list(expand(["x" * 300 + ".png"])) == ["x" * 300 + ".png"]


def test_a_picture_never_gets_the_reference_of_another_subfolder(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/1.jpg", "in/b/1.jpg", "ref/a/1.png")
    find = partners(tmp_path / "ref", [tmp_path / "in"])
    assert find(str(tmp_path / "in/a/1.jpg")) == str(tmp_path / "ref/a/1.png")
    with pytest.raises(PairError, match="another subfolder"):
        find(str(tmp_path / "in/b/1.jpg"))
    touch(tmp_path, "flat/1.png")
    flat = partners(tmp_path / "flat", [tmp_path / "in"])
    assert flat(str(tmp_path / "in/b/1.jpg")) == str(tmp_path / "flat/1.png")


def test_the_unicode_form_of_a_name_does_not_part_a_pair(tmp_path: Path) -> None:
    touch(tmp_path, "ref/e\u0301.png")
    assert partners(tmp_path / "ref")("\u00e9.jpg").endswith("e\u0301.png")


def test_natural_order_is_total_and_stable() -> None:
    mixed = ["b1", "a", "a10", "a9", "A8", "10", "9", "a9b2", "a9b10", "٣", ""]
    backwards = mixed[::-1]
    assert sorted(mixed, key=natural_key) == sorted(backwards, key=natural_key)
    assert sorted(["a10", "a9", "A8"], key=natural_key) == ["A8", "a9", "a10"]


def test_pairs_by_stem_never_by_order(tmp_path: Path) -> None:
    touch(tmp_path, "in/b.png", "in/a.jpg", "ref/a.png", "ref/c.png", "ref/deep/b.tif")
    find = partners(tmp_path / "ref", [tmp_path / "in"])
    assert names([find(str(tmp_path / "in/a.jpg")), find(str(tmp_path / "in/b.png"))], tmp_path) == [
        "ref/a.png",
        "ref/deep/b.tif",
    ]
    with pytest.raises(PairError, match="no reference with the stem 'z'"):
        find("z.png")


def test_the_same_place_decides_between_equal_stems(tmp_path: Path) -> None:
    touch(tmp_path, "in/x/a.png", "in/a.png", "ref/x/a.png", "ref/y/a.png", "ref/d.png", "ref/d.jpg")
    find = partners(tmp_path / "ref", [tmp_path / "in"])
    assert find(str(tmp_path / "in/x/a.png")) == str(tmp_path / "ref/x/a.png")
    with pytest.raises(PairError, match="2 references have the stem 'a'"):
        find(str(tmp_path / "in/a.png"))
    with pytest.raises(PairError, match="2 references have the stem 'd'"):
        find("d.png")


def test_one_file_is_the_reference_of_all(tmp_path: Path) -> None:
    assert partners(__file__)("anything.jpg") == __file__


def test_an_unlistable_folder_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(_: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    touch(tmp_path, "a/1.png", "b/2.png")
    scan = os.scandir

    def deny_one(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", deny_one)
    assert names(expand([tmp_path]), tmp_path) == ["a/1.png", "b"]
    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(ReadError, match="Permission denied"):
        list(expand([tmp_path]))
