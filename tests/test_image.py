"""Reading: arrays, sources, ranges, alpha and bad input. Files of every format are in test_image_files.py."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from beholder.errors import ChannelError, InputError, LayoutError, RangeError, ReadError, SizeError
from beholder.image import Image, read_image

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (37, 53, 3), np.uint8)


def as_file(image: PIL.Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PNG = as_file(PIL.Image.fromarray(RGB), "PNG")
smooth = np.add.outer(np.arange(120), np.arange(160))[..., None] % 256 * [1, 0.5, 0.8]
JPEG = as_file(PIL.Image.fromarray(smooth.astype(np.uint8)), "JPEG", quality=95)


# ------------------------------------------------------------------------------------------------ the Image itself


def test_facts_pixels_and_batch() -> None:
    image = read_image(PNG)
    assert (image.height, image.width, image.channels) == (37, 53, 3)
    assert (image.source, image.bit_depth, image.mode, image.format, image.converted) == (
        "<bytes>",
        8,
        "RGB",
        "PNG",
        (),
    )
    assert image.native.flags.c_contiguous
    assert np.array_equal(image.native, RGB)
    assert image.batch.shape == (1, 3, 37, 53)
    assert np.shares_memory(image.batch, image.native)
    assert image.pixels.dtype == np.float32
    assert image.pixels.flags.c_contiguous
    assert np.array_equal(image.pixels, RGB.transpose(2, 0, 1).astype(np.float32) / np.float32(255))


def test_pixels_of_16_bits_reach_exactly_one() -> None:
    image = read_image(np.array([[0, 65535, 257]], np.uint16))
    assert image.pixels.tolist() == [[[0.0, 1.0, np.float32(257 / 65535)]]]


# ------------------------------------------------------------------------------------------------ sources


def test_every_source_of_the_same_picture_gives_the_same_samples(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    path = tmp_path / "späte Brücke 橋 (1).png"
    path.write_bytes(PNG)
    stream = io.BytesIO(b"before" + PNG)
    stream.seek(6)
    with path.open("rb") as buffered, path.open("rb", buffering=0) as raw:
        images = [read_image(source) for source in (path, str(path), PNG, bytearray(PNG), stream, buffered, raw)]
    images += [read_image(PIL.Image.fromarray(RGB)), read_image(PIL.Image.open(io.BytesIO(PNG)))]
    images += [read_image(RGB, layout="HWC"), read_image(RGB.transpose(2, 0, 1), layout="CHW")]
    tensor = torch.from_numpy(RGB.copy())
    images += [read_image(tensor, layout="HWC"), read_image(tensor.permute(2, 0, 1), layout="CHW")]
    for image in images:
        assert np.array_equal(image.native, RGB)
        assert image.native.flags.c_contiguous
    assert images[0].source == str(path)
    assert [image.source for image in images[4:]] == ["<file>"] * 3 + ["<pillow>"] * 2 + ["<array>"] * 2 + [
        "<tensor>"
    ] * 2


def test_raw_file_is_read_from_its_position(tmp_path: Path) -> None:
    path = tmp_path / "offset.bin"
    path.write_bytes(b"x" * 100 + PNG)
    with path.open("rb", buffering=0) as file:
        file.seek(100)
        assert np.array_equal(read_image(file).native, RGB)


def test_tensors_with_gradients_and_bfloat16() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    tensor = torch.tensor([[0.0, 0.25], [0.5, 1.0]], dtype=torch.bfloat16, requires_grad=True)
    assert read_image(tensor).native[..., 0].tolist() == [[0.0, 0.25], [0.5, 1.0]]


def test_reading_an_array_loads_neither_torch_nor_pillow() -> None:
    code = (
        "import sys, numpy; from beholder.image import read_image; read_image(numpy.zeros((2, 2), 'u1'));"
        "print([m for m in ('torch', 'PIL', 'simplejpeg', 'tifffile', 'numba', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------------ arrays


@given(
    samples=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.dtype(">u2")]),
        st.tuples(st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 3])),
    )
)
@settings(max_examples=50, deadline=None)
def test_integers_come_back_as_they_were_in_every_layout(samples: np.ndarray) -> None:
    for layout, array in (("HWC", samples), ("CHW", samples.transpose(2, 0, 1)), ("HW", samples[..., 0])):
        image = read_image(array, layout=layout)
        expected = samples[..., :1] if layout == "HW" else samples
        assert image.native.dtype == samples.dtype.newbyteorder("=")
        assert np.array_equal(image.native, expected)
        assert image.native.flags.c_contiguous


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(0, 1)), st.sampled_from([1.0, 255.0, 4095.0, 1e6]))
@settings(max_examples=50, deadline=None)
def test_floats_are_divided_by_their_range(samples: np.ndarray, full: float) -> None:
    image = read_image(samples * full, data_range=full)
    assert image.native.dtype == np.float32
    np.testing.assert_allclose(image.native[..., 0], samples, atol=1e-7)


def test_twelve_bits_in_sixteen_need_only_be_told() -> None:
    samples = np.array([[0, 2048, 4095]], np.uint16)
    image = read_image(samples, data_range=4095)
    np.testing.assert_allclose(image.native[0, :, 0], [0, 2048 / 4095, 1])
    assert image.converted == ("divided by 4095",)
    assert read_image(samples, data_range=65535).native.dtype == np.uint16


def test_bool_and_signed_integers() -> None:
    assert read_image(np.array([[True, False]])).native[..., 0].tolist() == [[255, 0]]
    assert read_image(np.array([[True, False]])).bit_depth == 1
    np.testing.assert_allclose(read_image(np.array([[0, 500]]), data_range=1000).native[..., 0], [[0, 0.5]])


@pytest.mark.parametrize(
    ("array", "options", "error", "words"),
    [
        (np.zeros((4, 4, 3), np.uint8), {}, LayoutError, "never guessed"),
        (np.zeros((4, 4), np.uint8), {"layout": "HWC"}, LayoutError, "3 axes"),
        (np.zeros((1, 4, 4, 3), np.uint8), {"layout": "NHWC"}, LayoutError, "NHWC"),
        (np.zeros(4, np.uint8), {}, LayoutError, "shape"),
        (np.zeros((4, 4, 5), np.uint8), {"layout": "HWC"}, ChannelError, "got 5"),
        (np.zeros((4, 4, 3), np.uint8), {"layout": "CHW"}, None, ""),  # three columns: a stated layout is believed
        (np.zeros((0, 4), np.uint8), {}, SizeError, "4x0"),
        (np.zeros((3, 0, 4), np.float32), {"layout": "CHW"}, SizeError, "4x0"),
        (np.array([[0.0, np.nan, np.inf]]), {}, RangeError, "2 NaN or infinite of 3"),
        (np.array([[0.0, 1.5]]), {}, RangeError, "data_range"),
        (np.array([[-0.1, 0.5]]), {}, RangeError, "-0.1"),
        (np.array([[0, 5]], np.int32), {}, RangeError, "data_range"),
        (np.array([[0, 5]], np.uint32), {}, RangeError, "data_range"),
        (np.array([[-1, 5]], np.int16), {"data_range": 10}, RangeError, "-1"),
        (np.array([[0, 5000]], np.uint16), {"data_range": 4095}, RangeError, "5000"),
        (np.array([[1j]]), {}, RangeError, "complex"),
        (np.array([["a"]]), {}, RangeError, "expected bool"),
        (np.zeros((4, 4)), {"data_range": 0}, RangeError, "positive"),
        (np.zeros((4, 4)), {"data_range": float("nan")}, RangeError, "positive"),
        (np.zeros((4, 4)), {"background": (0, 0, 300)}, RangeError, "background"),
        (np.zeros((40, 40)), {"max_pixels": 1599}, SizeError, "max_pixels"),
    ],
)
def test_arrays_that_need_a_word_from_the_caller(
    array: np.ndarray, options: dict[str, object], error: type[Exception] | None, words: str
) -> None:
    if error is None:
        options = {**options, "layout": "HWC"}
        assert read_image(array, **options).channels == 3  # type: ignore[arg-type]
        return
    with pytest.raises(error, match=words):
        read_image(array, **options)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ alpha


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_composited_in_encoded_values(dtype: type, full: int, channels: int) -> None:
    values = RNG.random((9, 11, channels))
    samples = values.astype(dtype) if full == 1 else np.rint(values * full).astype(dtype)
    image = read_image(samples, layout="HWC", background=(10, 100, 200))
    exact = samples.astype(np.float64) / full
    alpha = exact[..., -1:]
    expected = alpha * exact[..., :-1] + (1 - alpha) * np.array([10, 100, 200]) / 255
    assert image.native.dtype == dtype
    assert image.native.shape == (9, 11, 3)  # grey on a coloured background is colour
    np.testing.assert_allclose(image.native / full, expected, atol=1.01 / full if full > 1 else 1e-6)
    assert image.converted == ("alpha composited on rgb(10, 100, 200)",)
    assert read_image(samples, layout="HWC").channels == channels - 1


def test_opaque_alpha_changes_nothing() -> None:
    opaque = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    image = read_image(opaque, layout="HWC")
    assert np.array_equal(image.native, RGB)
    assert image.converted == ()


# ------------------------------------------------------------------------------------------------ bad input


def test_paths_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("this is no picture at all, whatever its name says")
    fifo = tmp_path / "pipe.png"
    os.mkfifo(fifo)
    for source, words in (
        (tmp_path / "empty.jpg", "empty file"),
        (tmp_path / "text.png", "not a picture"),
        (tmp_path, "folder"),
        (tmp_path / "gone.png", "no such file"),
        (tmp_path / "text.png" / "below.png", "cannot be read"),
        (fifo, "regular file"),
        ("/dev/zero", "regular file"),
        ("https://example.org/a.png", "never goes to the network"),
        ("bad\0name.png", "cannot be read"),
        ("x" * 5000 + ".png", "cannot be read"),
        (b"", "empty file"),
        (io.BytesIO(b""), "empty file"),
        (io.StringIO("text"), "binary mode"),
        (42, "got int"),
        (None, "got NoneType"),
    ):
        with pytest.raises(ReadError, match=words):
            read_image(source)


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(PNG)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # for root, who may read everything, chmod proves nothing
    with pytest.raises(ReadError, match="permission denied"):
        read_image(path)


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def test_200_megapixel_bomb_is_refused_by_its_header() -> None:
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + 20_000)) for _ in range(10_000)) + rows.flush()
    header = (20_000).to_bytes(4, "big") + (10_000).to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    assert len(bomb) < 400_000
    with pytest.raises(SizeError, match=r"20000x10000 is 200,000,000 pixels.*178,956,970.*max_pixels"):
        read_image(bomb)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_limit_holds_for_every_format(kind: str) -> None:
    data = as_file(PIL.Image.fromarray(RGB), kind)
    assert read_image(data, max_pixels=37 * 53).width == 53
    with pytest.raises(SizeError, match=r"53x37 is 1,961 pixels.*1,960"):
        read_image(data, max_pixels=37 * 53 - 1)


def test_pixel_limit_of_pillow_is_neither_used_nor_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    # Between one and two times its own limit Pillow warns, and a warning fails this test.
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 37 * 53 - 1)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"):
        assert read_image(as_file(PIL.Image.fromarray(RGB), kind)).width == 53


def test_too_large_a_stream_is_not_swallowed() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, count: int = -1) -> bytes:
            assert count > 0, "an unbounded read of a stream"
            self.given += count
            return (b"\xff\xd8\xff" + bytes(count))[:count]

    with pytest.raises(SizeError, match="more than 67,108,880 bytes"):
        read_image(Endless(), max_pixels=1)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "progressive", "CMYK", "WEBP", "TIFF", "LZW", "BMP", "GIF", "AVIF"])
def test_truncated_files_are_errors_never_half_a_picture(kind: str, part: float) -> None:
    image = PIL.Image.fromarray(RGB)
    data = {
        "progressive": lambda: as_file(image, "JPEG", progressive=True),
        "CMYK": lambda: as_file(image.convert("CMYK"), "JPEG"),
        "LZW": lambda: as_file(image, "TIFF", compression="tiff_lzw"),
    }.get(kind, lambda: as_file(image, kind))()
    assert read_image(data).width == 53
    with pytest.raises(ReadError):
        read_image(data[: int(len(data) * part)])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_a_picture_or_a_typed_error(choice: st.DataObject) -> None:
    data = bytearray(choice.draw(st.sampled_from(SEEDS)))
    for _ in range(choice.draw(st.integers(1, 6))):
        data[choice.draw(st.integers(0, len(data) - 1))] = choice.draw(st.integers(0, 255))
    try:
        image = read_image(bytes(data), max_pixels=10**6)
    except InputError:
        return
    assert isinstance(image, Image)


def _seeds() -> list[bytes]:
    image = PIL.Image.fromarray(RGB[:8, :8])
    grey16 = PIL.Image.fromarray(RNG.integers(0, 65536, (8, 8), np.uint16))
    kinds = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
    return [as_file(image, kind) for kind in kinds] + [as_file(grey16, "PNG"), as_file(grey16, "TIFF")]


SEEDS = _seeds()


# ------------------------------------------------------------------------------------------------ threads


def test_many_threads_read_what_one_reads() -> None:
    sources = [JPEG, PNG, *SEEDS] * 8
    expected = [read_image(source).native for source in sources]
    barrier = threading.Barrier(8)

    def work(index: int) -> np.ndarray:
        if index < 8:
            barrier.wait(timeout=30)
        return read_image(sources[index]).native

    with ThreadPoolExecutor(8) as pool:
        for got, wanted in zip(pool.map(work, range(len(sources))), expected, strict=True):
            assert np.array_equal(got, wanted)


def test_jpeg_goes_through_libjpeg_turbo(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = simplejpeg.decode_jpeg
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *a, **k: calls.append(1) or real(*a, **k))
    assert np.array_equal(read_image(JPEG).native, np.asarray(PIL.Image.open(io.BytesIO(JPEG))))
    assert calls == [1]
