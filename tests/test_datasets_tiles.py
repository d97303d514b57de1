"""The cache of decoded pictures: filled once, shared by processes, whole or not at all, within its limit."""

from __future__ import annotations

import os
import pickle  # noqa: TID251  # as PyTorch's loaders hand it to their processes
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beholder.datasets.tiles import TileCache, decode
from beholder.errors import InputError, OutputError, ReadError


@pytest.fixture
def photo(make_picture):
    return make_picture("photos/a.jpg", (48, 40))


@pytest.fixture
def cache(tmp_path):
    return TileCache(tmp_path / "cache")


def entries(cache: TileCache) -> list[Path]:
    return sorted(p for p in cache.folder.rglob("*") if p.is_file())


def test_a_picture_is_decoded_once_and_mapped_then(cache, photo, monkeypatch):
    first = cache.get(photo)
    assert (first.shape, first.dtype) == ((40, 48, 3), np.uint8)
    np.testing.assert_array_equal(first, np.asarray(Image.open(photo)))
    monkeypatch.setattr("beholder.datasets.tiles.decode", lambda *_, **__: pytest.fail("decoded again"))
    second = cache.get(photo)
    assert isinstance(second, np.memmap)
    np.testing.assert_array_equal(second, first)
    assert [p.suffix for p in entries(cache)] == [".npy"]
    for found in (first, second):
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 0


def test_grey_and_deep_pictures_become_eight_bits_of_three(tmp_path):
    deep = np.linspace(0, 65535, 48 * 40).reshape(40, 48).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    pixels = decode(tmp_path / "deep.png")
    assert pixels.shape == (40, 48, 3)
    assert np.abs(pixels[..., 0] - deep / 257).max() <= 0.5
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_large_pictures_are_reduced_as_the_assessor_sees_them(make_picture, cache):
    from beholder.models.viewing import viewing_size

    large = make_picture("large.png", (1400, 1000))
    seen, native = cache.get(large), cache.get(large, viewing=False)
    assert seen.shape[:2] == viewing_size(1000, 1400) != (1000, 1400)
    assert native.shape[:2] == (1000, 1400)
    assert abs(float(seen.mean()) - float(native.mean())) < 1
    assert len(entries(cache)) == 2


def test_a_changed_picture_is_decoded_anew(cache, photo):
    before = np.array(cache.get(photo))
    Image.fromarray(255 - before).save(photo.with_suffix(".png"))
    photo.with_suffix(".png").replace(photo)
    np.testing.assert_array_equal(cache.get(photo), 255 - before)


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "header", "foreign", "trailer"])
@pytest.mark.parametrize("same", [True, False])
def test_damaged_entries_are_made_anew(cache, photo, harm, same):
    good = np.array(cache.get(photo))
    cache.get(photo)
    entry = cache.entry(photo)
    data = bytearray(entry.read_bytes())
    if harm == "flip":
        data[200] ^= 1
    harmed = {
        "cut": data[:-100], "flip": data, "empty": b"", "header": b"x" + data[1:], "trailer": data[:-1] + b"?",
        "foreign": b"nothing of ours",
    }[harm]  # fmt: skip
    entry.write_bytes(harmed)
    os.utime(entry, (1, 1))  # a change of the very same nanosecond would be no fair test
    again = cache if same else TileCache(cache.folder)
    np.testing.assert_array_equal(again.get(photo), good)
    assert bytes(entry.read_bytes()) != bytes(harmed), "the entry is mended"
    np.testing.assert_array_equal(TileCache(cache.folder).get(photo), good)


def test_an_array_of_another_shape_is_no_entry(cache, photo):
    entry = cache.entry(photo)
    entry.parent.mkdir()
    np.save(entry, np.zeros((4, 4)))
    assert cache.get(photo).shape == (40, 48, 3)


FILL = """
import sys
from pathlib import Path
from beholder.datasets.tiles import TileCache
cache = TileCache(sys.argv[1])
while not Path(sys.argv[2], "go").exists():
    pass
total = 0
for _ in range(3):
    for path in sorted(Path(sys.argv[2]).glob("*.png")):
        total += int(cache.get(path).sum())
print(total)
"""


def test_two_processes_fill_one_cache(tmp_path, make_picture):
    paths = [make_picture(f"many/{i}.png", (64, 64), seed=i) for i in range(24)]
    command = [sys.executable, "-c", FILL, str(tmp_path / "cache"), str(paths[0].parent)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    time.sleep(0.2)
    (paths[0].parent / "go").touch()
    told = [w.communicate(timeout=60)[0].strip() for w in workers]
    expected = 3 * sum(int(np.asarray(Image.open(p)).sum()) for p in paths)
    assert told == [str(expected)] * 2
    assert all(w.returncode == 0 for w in workers)
    cache = TileCache(tmp_path / "cache")
    assert len(entries(cache)) == 24, "no temporary files are left"
    for path in paths:
        np.testing.assert_array_equal(cache.get(path), np.asarray(Image.open(path)))


def test_the_limit_holds_and_early_entries_stay(tmp_path, make_picture):
    paths = [make_picture(f"{i}.png", (40, 40), seed=i) for i in range(6)]
    cache = TileCache(tmp_path / "cache", limit=3 * 40 * 40 * 3 + 1000)
    for _ in range(2):
        for path in paths:
            np.testing.assert_array_equal(cache.get(path), np.asarray(Image.open(path)))
    assert cache.size() <= cache.limit
    assert [isinstance(cache.get(p), np.memmap) for p in paths] == [True] * 3 + [False] * 3
    tiny = TileCache(tmp_path / "tiny", limit=10)
    assert tiny.get(paths[0]).shape == (40, 40, 3)
    assert entries(tiny) == []


def test_idle_entries_make_room(tmp_path, make_picture):
    paths = [make_picture(f"{i}.png", (40, 40), seed=i) for i in range(4)]
    limit = 2 * 40 * 40 * 3 + 600
    old = TileCache(tmp_path / "cache", limit=limit)
    for path in paths[:2]:
        old.get(path)
        os.utime(old.entry(path), (0, 0))
    held = old.get(paths[0])  # noted as a use
    fresh = TileCache(tmp_path / "cache", limit=limit)
    fresh.get(paths[2])
    assert not fresh.entry(paths[1]).exists()
    assert fresh.entry(paths[0]).exists()
    assert fresh.entry(paths[2]).exists()
    assert fresh.prune(idle=-1) == 0
    assert entries(fresh) == []
    np.testing.assert_array_equal(held, np.asarray(Image.open(paths[0])))


def test_a_cache_goes_to_other_processes(cache, photo):
    cache.get(photo)
    again = pickle.loads(pickle.dumps(cache))
    np.testing.assert_array_equal(again.get(photo), cache.get(photo))


def test_errors_say_what_is_wrong(tmp_path, cache):
    with pytest.raises(ReadError, match="No such file"):
        cache.get(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ReadError):
        cache.get(tmp_path / "text.png")
    assert entries(cache) == []
    with pytest.raises(OutputError, match="cannot make the cache"):
        TileCache(tmp_path / "text.png" / "cache")
    with pytest.raises(InputError, match="at least 1"):
        TileCache(tmp_path / "cache", limit=0)


def test_a_full_disk_is_told(cache, photo, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OutputError, match="No space left"):
        cache.get(photo)
    assert entries(cache) == []
