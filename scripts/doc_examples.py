"""The examples of the documentation: find them, run them, compare what they print with what the page shows.

Every ```console block is run (lines after "$ "), and every ```python block, where a ```text block right after it holds
what it prints. Each page runs in a fresh folder with a copy of samples/.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 80
"""Width of the terminal in which the examples run."""
FENCE = re.compile(r"^```(console|python|text)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PROGRESS = re.compile(r"^\d+ of \d+$")
_RUNNER = """
import contextlib, io, json, sys
namespace, printed = {"__name__": "__main__"}, []
for number, code in enumerate(json.load(sys.stdin), 1):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, f"<python block {number}>", "exec"), namespace)
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


class ExampleError(Exception):
    """An example of the documentation fails."""


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind, its text, and where the text stands."""

    kind: str
    text: str
    start: int
    end: int


def example_pages() -> list[Path]:
    """The pages whose examples run."""
    made = ("docs/reference/", "docs/benchmarks.md")
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [p for p in pages if not p.relative_to(ROOT).as_posix().startswith(made)]


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page in order; a text block counts only right after a python block."""
    found: list[Block] = []
    for match in FENCE.finditer(text):
        after_python = found and found[-1].kind == "python" and not text[found[-1].end : match.start()].strip("`\n ")
        if match[1] != "text" or after_python:
            found.append(Block(match[1], match[2], match.start(2), match.end(2)))
    return found


def commands_of(block: str) -> list[tuple[str, str]]:
    """(command, output shown) of a console block; a line that begins with "> " goes on with a command."""
    found: list[list[str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1][0] += "\n" + line[2:]
        elif found:
            found[-1][1] += line + "\n"
    return [(command, shown) for command, shown in found]


def _terminal() -> tuple[int, int]:
    """The two ends of a terminal of fixed size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    return ours, theirs


def _read_all(end: int) -> str:
    parts = []
    try:
        while part := os.read(end, 65536):
            parts.append(part)
    except OSError:  # Linux tells the end of a terminal so
        pass
    return b"".join(parts).decode()


def run_command(command: str, folder: Path, before: int = 0) -> tuple[str, int]:
    """Output and exit status of a shell command whose standard output is a terminal; `before` is what $? holds."""
    python = shutil.which(sys.executable) or sys.executable
    script = f'beholder() {{ "{python}" -m beholder "$@"; }}; python() {{ "{python}" "$@"; }}\n'
    names = {"COLUMNS": str(COLUMNS), "TERM": "xterm", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    ours, theirs = _terminal()
    with tempfile.TemporaryFile() as notes:
        process = subprocess.Popen(
            ["bash", "-c", f"{script}(exit {before})\n{command}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=notes,
            env={**os.environ, **names},
        )
        os.close(theirs)
        output = _read_all(ours)
        os.close(ours)
        status = process.wait()
        notes.seek(0)
        output += notes.read().decode()
    lines = ESCAPES.sub("", output).replace("\r\n", "\n").splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines if not PROGRESS.match(line)), status


def run_console(block: str, folder: Path) -> str:
    """The console block with the output that its commands have now.

    A command that fails is an ExampleError, unless the next one asks for the status by ``echo $?``.
    """
    commands, shown, status = commands_of(block), "", 0
    for number, (command, _) in enumerate(commands):
        output, status = run_command(command, folder, status)
        following = commands[number + 1][0] if number + 1 < len(commands) else ""
        if status and following != "echo $?":
            raise ExampleError(f"{command!r} ends with status {status}:\n{output}")
        shown += "$ " + command.replace("\n", "\n> ") + "\n" + output
    return shown


def run_python(codes: list[str], folder: Path) -> list[str]:
    """What each block prints; they share one process, in which a warning is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _RUNNER],
        input=json.dumps(codes),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},  # small pictures gain nothing from more
    )
    if done.returncode:
        raise ExampleError(f"a python block fails:\n{done.stderr}")
    return list(json.loads(done.stdout.splitlines()[-1]))


def examples_of(page: Path) -> Iterator[tuple[Block, str]]:
    """Each block that shows an output, and its text as it should be now."""
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "samples", folder / "samples")
        for block in blocks:
            if block.kind == "console":
                yield block, run_console(block.text, folder)
        codes = [b.text for b in blocks if b.kind == "python"]
        printed = iter(run_python(codes, folder) if codes else [])
        for number, block in enumerate(blocks):
            if block.kind == "python":
                output, following = next(printed), blocks[number + 1 : number + 2]
                if following and following[0].kind == "text":
                    yield following[0], output


def agrees(shown: str, now: str) -> bool:
    """Whether two outputs say the same: whole numbers exactly, others to the last place shown or 0.2 %.

    Scores of the network (lines with ± and their means) may differ by 1 between processors.
    """
    old, new = (text.strip().splitlines() for text in (shown, now))
    return len(old) == len(new) and all(map(_same_line, old, new))


def _same_line(old: str, new: str) -> bool:
    words = [" ".join(NUMBER.sub("#", line).replace("─", "").split()) for line in (old, new)]
    soft = "±" in old or old.startswith(("mean ", "median "))
    pairs = zip(NUMBER.findall(old), NUMBER.findall(new), strict=False)
    return words[0] == words[1] and all(_same_number(a, b, soft) for a, b in pairs)


def _same_number(old: str, new: str, soft: bool) -> bool:
    _, point, places = old.partition(".")
    if not point:
        return abs(int(float(old)) - float(new)) <= 1 if soft else old == new
    step = 10.0 ** -len(places.partition("e")[0])
    return abs(float(old) - float(new)) <= max(1.01 * step, 0.002 * abs(float(old)))


def refreshed(page: Path) -> str:
    """The page with outputs that agree left alone and the others written anew."""
    text = page.read_text(encoding="utf-8")
    for block, now in sorted(examples_of(page), key=lambda pair: -pair[0].start):
        if not agrees(block.text, now):
            text = text[: block.start] + now + text[block.end :]
    return text
