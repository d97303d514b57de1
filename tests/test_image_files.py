"""Reading of files: every format, mode and depth, orientation and colour profiles."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL.features
import PIL.Image
import pytest
import skimage.data
import tifffile
from PIL import ImageCms

from beholder.errors import RangeError, ReadError
from beholder.image import read_image

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (23, 31, 3), np.uint8)
GREY = RGB[..., 0]
RGB16 = RNG.integers(0, 65536, (23, 31, 3), np.uint16)
SMOOTH = skimage.data.chelsea()[:96, :128]


def as_file(image: PIL.Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    if isinstance(image, np.ndarray):
        image = PIL.Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def as_tiff(samples: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------ a small PNG encoder


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def filtered(raw: np.ndarray, step: int, kinds: list[int]) -> bytes:
    """PNG filters, straight from the specification; raw: (rows, bytes) uint8."""
    out = b""
    for y, row in enumerate(raw.astype(int)):
        up = raw[y - 1].astype(int) if y else np.zeros_like(row)
        left, corner = (np.concatenate([np.zeros(step, int), a[:-step]]) for a in (row, up))
        estimate = left + up - corner
        paeth = np.select(
            [
                (abs(estimate - left) <= abs(estimate - up)) & (abs(estimate - left) <= abs(estimate - corner)),
                abs(estimate - up) <= abs(estimate - corner),
            ],
            [left, up],
            corner,
        )
        kind = kinds[y % len(kinds)]
        guess = (0 * row, left, up, (left + up) // 2, paeth)[kind]
        out += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
    return out


def png16(samples: np.ndarray, kinds: list[int], interlaced: bool = False, extra: bytes = b"") -> bytes:
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    body = b""
    for y, x, dy, dx in passes if interlaced else [(0, 0, 1, 1)]:
        part = samples[y::dy, x::dx]
        if part.size:
            raw = np.ascontiguousarray(part.astype(">u2")).view(np.uint8).reshape(part.shape[0], -1)
            body += filtered(raw, 2 * samples.shape[2], kinds)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour, 0, 0, int(interlaced))
    packed = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + packed + chunk(b"IEND", b"")


# ------------------------------------------------------------------------------------------------ 16 bits and floats


def test_twelve_bits_in_16_bit_png_do_not_become_constant() -> None:
    samples = np.linspace(300, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
    data = as_file(samples, "PNG")
    crushed = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
    assert crushed.min() == crushed.max() == 255  # what Pillow makes of it
    image = read_image(data)
    assert (image.native.dtype, image.bit_depth) == (np.uint16, 16)
    assert np.array_equal(image.native[..., 0], samples)
    np.testing.assert_allclose(read_image(data, data_range=4095).native[..., 0], samples / 4095, atol=1e-7)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("kinds", [[0], [1], [2], [3], [4], [0, 1, 2, 3, 4], [4, 3]])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_of_every_filter(channels: int, kinds: list[int], interlaced: bool) -> None:
    samples = RNG.integers(0, 65536, (19, 13, channels), np.uint16)
    if channels in (2, 4):
        samples[..., -1] = 65535
        samples[0, 0, -1] = 0  # one pixel shows the background, so that alpha is known to be read
    image = read_image(png16(samples, kinds, interlaced), background=(0, 255, 255))
    colours = 1 if channels == 1 else 3
    expected = np.broadcast_to(
        samples[..., : max(channels - 1, 1) if channels in (2, 4) else channels], (19, 13, colours)
    )
    expected = expected.copy()
    if channels in (2, 4):
        expected[0, 0] = (0, 65535, 65535)
    assert image.bit_depth == 16
    assert np.array_equal(image.native, expected)


def test_16_bit_png_with_a_transparent_colour() -> None:
    samples = RGB16.copy()
    samples[2, 3] = (1, 2, 3)
    samples[2, 4] = (1, 2, 4)
    image = read_image(png16(samples, [4], extra=chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))))
    assert image.native[2, 3].tolist() == [65535] * 3
    assert image.native[2, 4].tolist() == [1, 2, 4]


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_16_bit_grey_tiff(compression: str | None) -> None:
    image = read_image(as_file(RGB16[..., 0], "TIFF", compression=compression))
    assert np.array_equal(image.native[..., 0], RGB16[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_16_bit_colour_tiff(order: str, planar: str, compression: str, predictor: bool, tile: tuple[int, int]) -> None:
    if predictor and compression is None:
        predictor = False
    axes = (2, 0, 1) if planar == "separate" else (0, 1, 2)
    data = as_tiff(
        RGB16.transpose(axes), byteorder=order, planarconfig=planar, photometric="rgb", compression=compression,
        predictor=predictor, tile=tile,
    )  # fmt: skip
    image = read_image(data)
    assert (image.mode, image.bit_depth) == ("RGB;16", 16)
    assert np.array_equal(image.native, RGB16)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_16_bit_tiff_with_alpha(kind: str, compression: str | None) -> None:
    alpha = RNG.integers(0, 65536, (23, 31, 1), np.uint16)
    weight = alpha / 65535
    stored = np.rint(RGB16 * weight).astype(np.uint16) if kind == "assocalpha" else RGB16
    data = as_tiff(np.dstack([stored, alpha]), photometric="rgb", extrasamples=[kind], compression=compression)
    expected = RGB16 * weight + 65535 * (1 - weight)
    np.testing.assert_allclose(read_image(data).native, expected, atol=1.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_float_tiff(dtype: type, channels: int, order: str) -> None:
    samples = RNG.random((23, 31, channels)).astype(dtype)
    data = as_tiff(samples.squeeze(), photometric="rgb" if channels == 3 else "minisblack", byteorder=order)
    image = read_image(data)
    assert image.native.dtype == np.float32
    assert np.array_equal(image.native, samples.astype(np.float32))


def test_float_tiff_outside_its_range_needs_a_word() -> None:
    data = as_tiff((RNG.random((8, 8)) * 1000).astype(np.float32))
    with pytest.raises(RangeError, match="data_range"):
        read_image(data)
    assert read_image(data, data_range=1000).native.max() <= 1


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32])
def test_integer_tiff_without_a_full_scale_needs_a_word(dtype: type) -> None:
    samples = np.array([[0, 100], [20_000, 30_000]], dtype)
    data = as_tiff(samples)
    with pytest.raises(RangeError, match="data_range"):
        read_image(data)
    np.testing.assert_allclose(read_image(data, data_range=30_000).native[..., 0], samples / 30_000, atol=1e-7)


def test_unsigned_32_bits_above_the_signed_are_kept() -> None:
    data = as_tiff(np.array([[0, 2**32 - 1]], np.uint32))
    assert read_image(data, data_range=2**32 - 1).native[..., 0].tolist() == [[0, 1]]


def test_16_bit_tiff_where_white_is_zero() -> None:
    data = as_tiff(RGB16[..., 0], photometric="miniswhite")
    assert np.array_equal(read_image(data).native[..., 0], 65535 - RGB16[..., 0])


def test_deep_tiff_that_cannot_be_read_is_an_error_never_8_bits() -> None:
    data = as_tiff(np.dstack([RGB16, RGB16[..., 0]]), photometric="separated")
    with pytest.raises(ReadError, match=r"full depth.*PNG"):
        read_image(data)


# ------------------------------------------------------------------------------------------------ 8 bits and fewer


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_lossless_formats_and_modes(kind: str, mode: str) -> None:
    source = PIL.Image.fromarray(RGB).convert(mode)
    image = read_image(as_file(source, kind))
    if kind == "GIF" and mode == "RGB":
        source = PIL.Image.open(io.BytesIO(as_file(source, kind)))  # its palette is lossy
    colour = mode in ("P", "RGB")
    expected = np.asarray(source.convert("RGB" if colour else "L"))
    assert image.native.dtype == np.uint8
    assert np.array_equal(
        image.native, expected if colour else np.broadcast_to(expected[..., None], image.native.shape)
    )
    assert image.channels == (3 if colour or (kind == "GIF" and image.mode == "P") else 1)
    assert image.bit_depth == (1 if mode == "1" and kind != "GIF" else 8)
    assert image.format == kind


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("AVIF", {"quality": 100})])
def test_webp_and_avif(kind: str, options: dict[str, object]) -> None:
    if not PIL.features.check(kind.lower()):
        pytest.skip(f"this Pillow has no {kind}")
    data = as_file(SMOOTH, kind, **options)
    image = read_image(data)
    assert image.format == kind
    assert np.array_equal(image.native, np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")))
    assert np.abs(image.native.astype(int) - SMOOTH).mean() < 2


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_transparent_grey_of_few_bits(bits: int) -> None:
    top = 2**bits - 1
    header = struct.pack(">IIBBBBB", 8 // bits, 1, bits, 0, 0, 0, 0)
    body = zlib.compress(b"\0" + bytes([0b00100111 if bits < 4 else 0x0F]))
    key = chunk(b"tRNS", struct.pack(">H", top))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + key + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    levels = [(0b00100111 if bits < 4 else 0x0F) >> (8 - bits * (i + 1)) & top for i in range(8 // bits)]
    expected = [0 if level == top else level * 255 // top for level in levels]
    assert read_image(data, background=(0, 0, 0)).native.ravel().tolist() == expected


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_of_files(kind: str, mode: str) -> None:
    source = PIL.Image.fromarray(np.dstack([RGB, GREY])).convert(mode)
    data = as_file(source, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    rgba = np.asarray(source.convert("RGBA")).astype(float)
    weight = rgba[..., 3:] / 255
    for background in ((255, 255, 255), (0, 50, 250)):
        image = read_image(data, background=background)
        expected = rgba[..., :3] * weight + np.array(background) * (1 - weight)
        np.testing.assert_allclose(np.broadcast_to(image.native, expected.shape), expected, atol=0.6)
        assert image.converted[-1].startswith("alpha composited on")


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_entry(kind: str) -> None:
    source = PIL.Image.new("P", (4, 2), 1)
    source.putpalette([200, 0, 0, 0, 100, 0, 0, 0, 90])
    source.putpixel((0, 0), 0)
    source.putpixel((1, 0), 2)
    image = read_image(as_file(source, kind, transparency=0))
    assert image.native[0, :3].tolist() == [[255, 255, 255], [0, 0, 90], [0, 100, 0]]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_first_of_several_frames(kind: str) -> None:
    frames = [PIL.Image.new("RGB", (16, 16), (80 * i, 0, 0)) for i in range(3)]
    image = read_image(as_file(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert image.native.max() <= 2
    assert image.converted[0] == "first of 3 frames"


# ------------------------------------------------------------------------------------------------ JPEG


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_gives_the_samples_that_pillow_gives(mode: str, progressive: bool, subsampling: int) -> None:
    data = as_file(
        PIL.Image.fromarray(SMOOTH).convert(mode), "JPEG", quality=90, progressive=progressive, subsampling=subsampling
    )
    image = read_image(data)
    assert np.array_equal(image.native.squeeze(), np.asarray(PIL.Image.open(io.BytesIO(data))))
    assert (image.mode, image.format, image.bit_depth) == (mode, "JPEG", 8)


def test_jpeg_whose_sampling_libjpeg_turbo_has_no_name_for() -> None:
    # Three blocks of luma to one of each chroma, all of them 128: "no difference, end of block" in the standard tables.
    data = as_file(PIL.Image.new("RGB", (24, 8), (128, 128, 128)), "JPEG", subsampling=0)
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    bits = ("001010" * 3 + "0000" * 2).ljust(32, "1")
    odd = bytearray(data[: scan + 14] + int(bits, 2).to_bytes(4, "big") + b"\xff\xd9")
    odd[frame + 11] = 0x31
    image = read_image(bytes(odd))
    assert image.native.shape == (8, 24, 3)
    assert (image.native == 128).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_with_damage_inside_is_an_error(mode: str) -> None:
    data = bytearray(as_file(PIL.Image.fromarray(SMOOTH).convert(mode), "JPEG"))
    data[-len(data) // 4 : -2] = b"\xff\xd9" * ((len(data) // 4 - 2) // 2 + 1)  # the end, long before the end
    with pytest.raises(ReadError, match="damaged or truncated"):
        read_image(bytes(data))


def test_jpeg_with_padding_is_read_and_the_padding_noted() -> None:
    data = as_file(SMOOTH, "JPEG")
    image = read_image(data[:-2] + bytes(9) + data[-2:])
    assert np.array_equal(image.native, read_image(data).native)
    assert "extraneous bytes" in image.converted[0]
    assert read_image(data + bytes(100)).converted == ()


def test_cmyk_jpeg_of_adobe_and_without_its_marker() -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # cyan
    data = as_file(PIL.Image.fromarray(ink, "CMYK"), "JPEG", quality=100)
    at = data.index(b"\xff\xee\x00\x0eAdobe")
    image = read_image(data)
    assert np.abs(image.native.astype(int) - [0, 255, 255]).max() <= 3
    assert image.mode == "CMYK"
    assert "plain arithmetic" in image.converted[0]
    bare = data[:at] + data[at + 16 :]  # the same numbers, now not inverted: no cyan, all of the others, which is black
    assert read_image(bare).native.max() <= 3


# ------------------------------------------------------------------------------------------------ orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "PNG16", "TIFF16"])
def test_all_eight_orientations(kind: str, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, :16] = 240, 160, 80
    # What the camera stored, by the definition in EXIF 2.3: where row 0 and column 0 of the file are in the scene.
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    stored = np.ascontiguousarray(stored)
    exif = PIL.Image.Exif()
    exif[274] = orientation
    if kind == "PNG16":
        body = exif.tobytes().removeprefix(b"Exif\0\0")
        data = png16(stored.astype(np.uint16) * 257, [0], extra=chunk(b"eXIf", body))
    elif kind == "TIFF16":
        data = as_tiff(stored.astype(np.uint16) * 257, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    else:
        data = as_file(stored, kind, exif=exif)
    image = read_image(data)
    full = 257 if kind.endswith("16") else 1
    assert image.native.shape == upright.shape
    assert np.abs(image.native / full - upright).max() < 20  # lossy formats; the patches are 80 apart
    assert image.converted == (() if orientation == 1 else (f"exif orientation {orientation}",))


def test_deep_tiff_of_unknown_compression_says_what_to_do() -> None:
    data = as_tiff(RGB.astype(np.float32) / 255, photometric="rgb")
    tag = struct.pack("<HHI", 259, 3, 1)  # compression
    at = data.index(tag) + len(tag)
    with pytest.raises(ReadError, match=r"full depth.*PNG"):
        read_image(data[:at] + struct.pack("<H", 5) + data[at + 2 :])


def test_odd_tags_of_tiff_are_no_obstacle_and_no_warning() -> None:
    data = as_tiff(SMOOTH, photometric="rgb", extratags=[(274, "H", 2, (3, 1), True), (306, "H", 1, 7, True)])
    assert np.array_equal(read_image(data).native, SMOOTH[::-1, ::-1])


def test_tiff_whose_samples_are_nowhere_is_an_error() -> None:
    data = as_tiff(RGB.astype(np.float32) / 255, photometric="rgb")
    tag = struct.pack("<HHI", 273, 4, 1)  # where the samples are, given by four bytes after this
    at = data.index(tag) + len(tag)
    with pytest.raises(ReadError, match="does not say where"):
        read_image(data[:at] + bytes(4) + data[at + 4 :])


def test_broken_exif_is_no_obstacle() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0junk"):
        assert read_image(as_file(SMOOTH, "JPEG", exif=exif)).native.shape == SMOOTH.shape


# ------------------------------------------------------------------------------------------------ colour profiles


def curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A minimal ICC profile, version 2.4, for a display."""
    tags = {
        b"wtpt": xyz(0.9642, 1, 0.8249),
        b"desc": description("Test space"),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
    } | tags
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"none", 0x02400000, b"mntr", space, b"XYZ ", bytes(12), b"acsp")
    head += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))


def description(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(raw)) + raw + bytes(4 + 4 + 2 + 1 + 67)


# Adobe RGB (1998) by its published primaries, adapted to D50, and gamma 563/256.
PRIMARIES = {
    b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
    b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
    b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
}
ADOBE_LIKE = profile(b"RGB ", PRIMARIES | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(563 / 256)))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_srgb_profile_changes_nothing(kind: str) -> None:
    plain, tagged = (read_image(as_file(SMOOTH, kind, **extra)) for extra in ({}, {"icc_profile": SRGB}))
    assert np.array_equal(plain.native, tagged.native)
    assert tagged.converted == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_profile_is_converted_to_srgb(kind: str) -> None:
    plain, tagged = (read_image(as_file(SMOOTH, kind, **extra)) for extra in ({}, {"icc_profile": ADOBE_LIKE}))
    expected = ImageCms.profileToProfile(
        PIL.Image.fromarray(plain.native), io.BytesIO(ADOBE_LIKE), ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    assert np.abs(tagged.native.astype(int) - np.asarray(expected)).max() <= 1
    assert np.abs(tagged.native.astype(int) - plain.native).max() > 10
    assert tagged.converted == ("icc Test space to sRGB",)


def test_16_bit_colour_is_converted_at_16_bits_and_agrees_with_little_cms() -> None:
    ramp = np.stack(np.meshgrid(*[np.linspace(0, 255, 12)] * 3), -1).reshape(36, 48, 3).round().astype(np.uint8)
    eight = read_image(as_file(ramp, "PNG", icc_profile=ADOBE_LIKE))
    wrapped = chunk(b"iCCP", b"x\0\0" + zlib.compress(ADOBE_LIKE))
    sixteen = read_image(png16(ramp.astype(np.uint16) * 257, [4], extra=wrapped))
    assert sixteen.native.dtype == np.uint16
    assert sixteen.converted == ("icc Test space to sRGB",)
    assert np.abs(sixteen.native / 257 - eight.native).max() < 1.2
    floats = read_image(as_tiff((ramp / 255).astype(np.float32), photometric="rgb", iccprofile=ADOBE_LIKE))
    np.testing.assert_allclose(floats.native, sixteen.native / 65535, atol=3e-5)
    steps = png16(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64, 1).repeat(3, 2), [4], extra=wrapped)
    assert np.unique(read_image(steps).native).size > 3500  # not 256: nothing went through 8 bits


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_parametric_curves_agree_with_little_cms(kind: int) -> None:
    p = {
        0: (2.2,),
        1: (2.4, 0.9, 0.1),
        2: (2.0, 0.8, 0.1, 0.05),
        3: (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    }
    p[4] = (2.4, 0.85, 0.05, 0.08, 0.05, 0.02, 0.01)
    numbers = struct.pack(f">{len(p[kind])}i", *(round(value * 65536) for value in p[kind]))
    para = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + numbers
    icc = profile(b"RGB ", PRIMARIES | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), para))
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    wrapped = chunk(b"iCCP", b"x\0\0" + zlib.compress(icc))
    deep = read_image(png16(grey.astype(np.uint16) * 257, [0], extra=wrapped)).native / 257
    expected = ImageCms.profileToProfile(PIL.Image.fromarray(grey), io.BytesIO(icc), ImageCms.createProfile("sRGB"), 1)
    assert np.abs(deep - np.asarray(expected)).max() < 1.2


def test_grey_profile_at_both_depths() -> None:
    icc = profile(b"GRAY", {b"kTRC": curve(1.0)})
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    light = levels / 255
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    eight = read_image(as_file(levels, "PNG", icc_profile=icc))
    assert np.array_equal(eight.native[..., 0], np.rint(expected * 255))
    deep = read_image(as_file(levels.astype(np.uint16) * 257, "PNG", icc_profile=icc))
    assert np.abs(deep.native[..., 0] - expected * 65535).max() <= 1
    assert eight.converted == deep.converted == ("icc Test space to sRGB",)


@pytest.mark.parametrize("icc", [b"junk", ADOBE_LIKE[:200], ADOBE_LIKE[:132] + bytes(100), profile(b"RGB ", {})])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_broken_profile_is_noted_and_the_picture_read(kind: str, icc: bytes) -> None:
    image = read_image(as_file(SMOOTH, kind, icc_profile=icc))
    assert np.array_equal(image.native, read_image(as_file(SMOOTH, kind)).native)
    assert "not applied" in image.converted[0]


def test_profile_of_the_wrong_space_is_noted() -> None:
    image = read_image(as_file(GREY, "PNG", icc_profile=ADOBE_LIKE))
    assert np.array_equal(image.native[..., 0], GREY)
    assert image.converted == ("icc Test space not applied: RGB profile on a picture with 1 channels",)


# ---------------------------------------------------------------------------------------------PIL images and real files


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "La", "RGBa"]
)
def test_pil_images_of_every_mode(mode: str) -> None:
    base = PIL.Image.fromarray(SMOOTH)
    through = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode, mode)
    source = base.convert(through).convert(mode)
    image = read_image(source)
    assert (image.mode, image.format) == (mode, "")
    assert image.channels == (1 if mode in ("1", "L", "LA", "La") else 3)
    expected = np.asarray(base.convert(through).convert("L" if image.channels == 1 else "RGB"))
    assert np.array_equal(image.native.squeeze(), expected)


def test_pil_image_of_a_deep_file_says_what_pillow_lost() -> None:
    for data in (png16(RGB16, [0]), as_tiff(RGB16, photometric="rgb", compression="zlib")):
        assert "8 of 16 bits" in read_image(PIL.Image.open(io.BytesIO(data))).converted[0]
    assert read_image(PIL.Image.open(io.BytesIO(as_file(RGB, "PNG")))).converted == ()


def test_pil_images_that_have_no_meaning_as_they_are() -> None:
    with pytest.raises(RangeError, match="data_range"):
        read_image(PIL.Image.fromarray(np.array([[0, 70000]], np.int32)))
    with pytest.raises(ReadError, match="LAB"):
        read_image(PIL.Image.new("LAB", (4, 4)))
    assert read_image(PIL.Image.fromarray(np.array([[0, 0.5]], np.float32))).native.ravel().tolist() == [0, 0.5]


@pytest.mark.data
@pytest.mark.skipif("BEHOLDER_DATA" not in os.environ, reason="needs the data sets that BEHOLDER_DATA points to")
def test_real_files_read_as_pillow_reads_them() -> None:
    found = sorted(Path(os.environ["BEHOLDER_DATA"]).rglob("*"))
    files = [path for path in found if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif")][::29]
    assert len(files) > 50
    for path in files:
        image = read_image(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = PIL.Image.open(path)
            expected = np.asarray(expected if image.channels == 1 else expected.convert("RGB"))
        if not image.converted and image.bit_depth == 8:
            assert np.array_equal(image.native.squeeze(), expected.squeeze()), path
