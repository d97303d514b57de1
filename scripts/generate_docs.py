"""Write what the documentation takes from the program: reference pages, and the output of the examples.

    python scripts/generate_docs.py            write all anew
    python scripts/generate_docs.py --check    change nothing; exit status 1 and the names of stale files

The reference pages (docs/reference) come from the registry, the command line and the docstrings. In README.md and
docs/ every ```console block is run (lines after "$ "), and every ```python block, where a ```text block right after it
holds what it prints. Each page runs in a fresh folder with a copy of samples/. tests/test_docs.py uses the same code.
"""

from __future__ import annotations

import argparse
import fcntl
import inspect
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
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 100
"""Width of the terminal in which the examples run."""
NOTE = "<!-- Written by scripts/generate_docs.py: do not edit. -->\n"
DOI = re.compile(r"doi:(10\.[^\s,;)]+)")
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


# ------------------------------------------------------------------------------------------------ reference pages


def _link(text: str) -> str:
    return DOI.sub(lambda m: f"[doi:{m[1]}](https://doi.org/{m[1]})", text)


def _code(items: Any) -> str:
    return ", ".join(f"`{i}`" for i in items) or "none"


def metric_page() -> str:
    """The table of all metrics, and a section for each."""
    from beholder import list_metrics

    cards = list_metrics()
    lines = [
        NOTE,
        "# Metrics\n",
        "The distorted picture comes first, the reference second. `beholder metrics` prints this table, "
        "`beholder metrics --json` all that is known of each. *Verified* names the settings that a test holds to a "
        "value from outside the project; the rest is unverified. "
        "[Choose metrics](../howto/choose-metrics.md) says which preset matches which program.\n",
        "| metric | needs | better | range | unit | smallest | presets | verified | gradient |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for c in cards:
        low, high = c.range
        lines.append(
            f"| [`{c.name}`](#{c.name}) | {c.needs} | {c.better} | {low:g} to {high:g} | {c.unit or '–'} "
            f"| {c.min_size} px | {_code(c.presets)} | {_code(sorted(p or 'default' for p in c.verified))} "
            f"| {'yes' if c.differentiable else 'no'} |"
        )
    for c in cards:
        body = (inspect.getdoc(c.function) or "").replace("``", "`")
        lines += [f"\n## {c.name}\n", _link(body), f"\nSource: {_link(c.paper)}."]
        if c.aliases:
            lines.append(f"\nAlso understood: {_code(c.aliases)}.")
        if c.presets:
            lines += ["\n| preset | settings |", "|---|---|"]
            lines += [
                f"| `{c.name}:{name}` | {_code(f'{k}={v!r}' for k, v in settings.items())} |"
                for name, settings in c.presets.items()
            ]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """The reference of the command line, out of the commands themselves."""
    import typer

    from beholder.cli import app

    group: Any = typer.main.get_command(app)
    lines = [NOTE, "# Command line\n", f"{group.help}\n", *_options(group)]
    for name, command in group.commands.items():
        positional = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(["beholder", name, "[OPTIONS]", *(p.metavar or p.name.upper() for p in positional)])
        lines += [f"## beholder {name}\n", f"{command.help}\n", f"```text\n{usage}\n```\n"]
        lines += [f"`{p.metavar}`\n:   {p.help}\n" for p in positional]
        lines += _options(command)
    lines += [
        "## Exit status\n",
        "| status | meaning |\n|---|---|\n| 0 | fine |\n| 1 | a threshold was missed |\n| 2 | wrong usage; nothing "
        "was scored |\n| 3 | some inputs failed: their rows say why |\n| 130 | interrupted (Ctrl-C) |\n",
        "A failed input outweighs a missed threshold: with both, the status is 3.",
    ]
    return "\n".join(lines) + "\n"


def _options(command: Any) -> list[str]:
    rows = []
    for option in command.params:
        if option.param_type_name == "option":
            value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
            names = " ".join(f"`{o}`" for o in option.opts)
            rows.append(
                f"| {names} | {f'`{value.strip()}`' if value else ''} | {option.help.replace('|', chr(92) + '|')} |"
            )
    return ["| option | value | |\n|---|---|---|\n" + "\n".join(rows) + "\n"] if rows else []


def python_page() -> str:
    """The public names with their signatures and docstrings."""
    import beholder

    lines = [
        NOTE,
        "# Python\n",
        "All public names: `import beholder as bh`, then `bh.NAME`. Nothing heavy is loaded before it is used.\n",
    ]
    objects = {n: getattr(beholder, n) for n in beholder.__all__ if not n.startswith("_")}
    errors = {n: o for n, o in objects.items() if isinstance(o, type) and issubclass(o, beholder.BeholderError)}
    for name, thing in sorted(objects.items(), key=lambda pair: (isinstance(pair[1], type), pair[0])):
        if name in errors:
            continue
        signature = (
            "" if name in ("Metric", "Row", "Score", "Image") else str(inspect.signature(thing)).replace("'", "")
        )
        lines += [f"## {name}\n", f"```text\nbh.{name}{signature}\n```\n", _link(_described(thing))]
        methods = [
            m
            for n, m in vars(thing).items()
            if isinstance(thing, type) and not n.startswith("_") and inspect.isroutine(m)
        ]
        lines += [f"\n`.{m.__name__}()`\n:   {_paragraph(m)}" for m in methods] + [""]
    lines += ["## Errors\n", "```text", (inspect.getdoc(beholder.errors) or "").split("\n\n", 1)[1], "```"]
    return "\n".join(lines) + "\n"


def _described(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").replace("``", "`")


def _paragraph(method: Any) -> str:
    return _described(method).split("\n\n")[0].replace("\n", " ")


REFERENCE = {
    "docs/reference/metrics.md": metric_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/python.md": python_page,
}


# ------------------------------------------------------------------------------------------------ examples


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind, its text, and where the text stands."""

    kind: str
    text: str
    start: int
    end: int


def example_pages() -> list[Path]:
    """The pages whose examples run."""
    made = {ROOT / name for name in REFERENCE} | {ROOT / "docs/benchmarks.md"}
    return [p for p in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if p not in made]


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
        env={**os.environ, "PYTHONUTF8": "1"},
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
    for block, now in reversed(list(examples_of(page))):
        if not agrees(block.text, now):
            text = text[: block.start] + now + text[block.end :]
    return text


def main() -> int:
    """Write or check everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, tell what is stale")
    check = parser.parse_args().check
    wanted = {ROOT / name: make for name, make in REFERENCE.items()}
    stale = []
    for page in [*wanted, *example_pages()]:
        text = wanted[page]() if page in wanted else refreshed(page)
        if page.is_file() and page.read_text(encoding="utf-8") == text:
            continue
        stale.append(page.relative_to(ROOT).as_posix())
        if not check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name}: {'stale' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
