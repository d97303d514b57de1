"""Decoded pictures kept on disk, so that training on few processors does not wait for JPEG."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from beholder.errors import InputError, OutputError, ReadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

POLICY = "1"
"""Part of every key: entries of another way of decoding are never taken."""
LIMIT = 64 << 30
"""Bytes that a cache may fill by default."""
IDLE = 24 * 3600.0
"""Seconds without use after which an entry makes room for others."""
RECOUNT = 0.02
"""Share of the limit that a process adds before it counts again what all have added."""
PATIENCE = 600.0
"""Seconds before a full cache looks for idle entries again: that reads the whole folder."""
_MAGIC = b"BEHOLDER"
_TRAILER = len(_MAGIC) + 4


def decode(path: str | os.PathLike[str], *, viewing: bool = True) -> Pixels:
    """A picture as training takes it: sRGB, (H, W, 3), uint8; grey three times over, deeper ones rounded.

    viewing: pictures of more than about a megapixel are reduced to that, as the default assessor sees them. Raises the
    errors of `read_image`, and SizeError for a picture that is too thin to be seen.
    """
    from beholder.image import read_image

    native = read_image(path).native
    if viewing:
        native = _reduced(native)
    if native.dtype != np.uint8:
        full = 1.0 if native.dtype.kind == "f" else float(np.iinfo(native.dtype).max)
        native = np.rint(native * (255.0 / full)).astype(np.uint8)
    if native.shape[2] == 1:
        native = np.repeat(native, 3, axis=2)
    return np.ascontiguousarray(native)


def _reduced(native: NDArray[Any]) -> NDArray[Any]:
    from beholder.models.runtime import reduce_to_view
    from beholder.models.viewing import viewing_size

    if viewing_size(*native.shape[:2]) == native.shape[:2]:
        return native
    full = 1.0 if native.dtype.kind == "f" else float(np.iinfo(native.dtype).max)
    return reduce_to_view(native.transpose(2, 0, 1), full).transpose(1, 2, 0)


class TileCache:
    """Decoded pictures in a folder, one file each, shared by threads and processes; may be pickled.

    folder: made where it is not there. limit: bytes that its files may fill; once full, entries that nobody used for a
    day make room, and what still does not fit is decoded each time and not kept, so that a training that goes round and
    round a set larger than the limit keeps its hits.
    An entry is known by the picture's path, time of change, size and the policy. It is written under another name
    first, ends in a checksum that is tested when a process first takes it, and is made anew where that fails.
    """

    def __init__(self, folder: str | os.PathLike[str], *, limit: int = LIMIT) -> None:
        if limit < 1:
            raise InputError(f"the limit of a cache must be at least 1 byte, got {limit!r}")
        self.folder = Path(folder)
        self.limit = limit
        self._sound: dict[str, tuple[int, int]] = {}
        self._filled: int | None = None
        self._added = 0
        self._full_until = 0.0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the cache {str(folder)!r}: {error.strerror}; choose another") from error

    def get(self, path: str | os.PathLike[str], viewing: bool = True) -> Pixels:
        """A picture as `decode` gives it, read-only, (H, W, 3) uint8: a memory map where it is kept.

        Raises as `decode`, and OutputError where the cache cannot be written (a full disk, say).
        """
        entry = self.entry(path, viewing)
        kept = self._open(entry)
        if kept is not None:
            return kept
        pixels = decode(path, viewing=viewing)
        pixels.flags.writeable = False
        self._keep(entry, pixels)
        return pixels

    def entry(self, path: str | os.PathLike[str], viewing: bool = True) -> Path:
        """The file that keeps a picture, whether it is there or not; ReadError for a picture that is not."""
        place = os.path.abspath(path)  # noqa: PTH100  # links are not followed: they may lead elsewhere tomorrow
        try:
            facts = Path(place).stat()
        except OSError as error:
            raise ReadError(f"{os.fspath(path)}: {error.strerror}") from error
        text = f"{POLICY}\t{place}\t{facts.st_mtime_ns}\t{facts.st_size}\t{viewing:d}"
        name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.npy"

    def _open(self, entry: Path) -> Pixels | None:
        """The kept picture, or None where it is missing or damaged."""
        try:
            pixels = np.load(entry, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing, cut off, or no array at all
            return None
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            return None
        if self._sound.get(entry.name) != _facts(entry):
            if not self._whole(entry, pixels):
                return None
            _touch(entry)
            self._sound[entry.name] = _facts(entry)
        return cast("Pixels", pixels)

    @staticmethod
    def _whole(entry: Path, pixels: Pixels) -> bool:
        try:
            with entry.open("rb") as file:
                file.seek(-_TRAILER, os.SEEK_END)
                trailer = file.read()
        except OSError:
            return False
        return trailer == _trailer(pixels)

    def _keep(self, entry: Path, pixels: Pixels) -> None:
        if not self._make_room(pixels.nbytes):
            return
        temporary = entry.with_name(f".{entry.stem}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            entry.parent.mkdir(exist_ok=True)
            with temporary.open("wb") as file:
                np.lib.format.write_array(file, pixels, allow_pickle=False)
                file.write(_trailer(pixels))
            temporary.replace(entry)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise OutputError(
                f"cannot keep a picture in the cache {str(self.folder)!r}: {error.strerror}; make room, or do without"
            ) from error
        self._added += pixels.nbytes

    def _make_room(self, wanted: int) -> bool:
        """Whether so many bytes more fit, after idle entries are gone."""
        if wanted > self.limit or time.time() < self._full_until:
            return False
        if self._filled is None or self._added > self.limit * RECOUNT:  # other processes add theirs
            self._filled, self._added = self.size(), 0
        if self._filled + self._added + wanted > self.limit:
            self._filled, self._added = self.prune(self.limit - wanted), 0
        fits = self._filled + self._added + wanted <= self.limit
        self._full_until = 0.0 if fits else time.time() + PATIENCE
        return fits

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(facts.st_size for _, facts in self._entries())

    def prune(self, most: int = 0, *, idle: float = IDLE) -> int:
        """Remove entries not used for `idle` seconds, the oldest first, until `most` bytes are left; what is left.

        Pictures that a process is looking at stay with it.
        """
        entries = sorted(self._entries(), key=lambda e: e[1].st_mtime)
        left = sum(facts.st_size for _, facts in entries)
        latest = time.time() - idle
        for entry, facts in entries:
            if left <= most or facts.st_mtime > latest:
                break
            entry.unlink(missing_ok=True)
            self._sound.pop(entry.name, None)
            left -= facts.st_size
        return left

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for entry in self.folder.glob("??/*.npy"):
            try:
                found.append((entry, entry.stat()))
            except FileNotFoundError:  # another process was quicker to remove it
                continue
        return found


def _trailer(pixels: Pixels) -> bytes:
    return _MAGIC + zlib.crc32(pixels.reshape(-1).data).to_bytes(4, "little")


def _facts(entry: Path) -> tuple[int, int]:
    try:
        facts = entry.stat()
    except OSError:  # removed by another process; the memory map stays good
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


def _touch(entry: Path) -> None:
    """Note the use of an entry, as its time of change."""
    try:
        os.utime(entry)
    except OSError:  # somebody else's cache, that may be read only
        return
