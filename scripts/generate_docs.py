"""Write what the documentation takes from the program: reference pages, and the output of the examples.

    python scripts/generate_docs.py            write all anew
    python scripts/generate_docs.py --check    change nothing; exit status 1 and the names of stale files

The reference pages (docs/reference) come from the registry, the command line and the docstrings; for the examples see
doc_examples.py. tests/test_docs.py uses the same code.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from doc_examples import ROOT, example_pages, refreshed

NOTE = "<!-- Written by scripts/generate_docs.py: do not edit. -->\n"
DOI = re.compile(r"doi:(10\.[^\s,;)]+)")


def _link(text: str) -> str:
    return DOI.sub(lambda m: f"[doi:{m[1]}](https://doi.org/{m[1]})", text)


def _code(items: Any) -> str:
    return ", ".join(f"`{i}`" for i in items) or "–"


def _own_range(card: Any, preset: str) -> str:
    """The range of a preset where it is not the metric's."""
    if preset not in card.ranges:
        return ""
    low, high = (f"{v:g}".replace("inf", "∞") for v in card.ranges[preset])
    return f"; range {low} to {high}"


def metric_page() -> str:
    """The table of all metrics, and a section for each."""
    from beholder import list_metrics
    from beholder.metrics.registry import rounding_presets, settings_of

    cards = list_metrics()
    lines = [
        NOTE,
        "# Metrics\n",
        "The distorted picture comes first, the reference second. `beholder metrics` lists them, "
        "`beholder metrics NAME` shows one, `beholder metrics --json` all that is known of each. *Verified* names the "
        "settings that a test holds to a value from outside the project (for `beholder`: to human opinion scores); the "
        "rest is unverified. [Choose metrics](../howto/choose-metrics.md) says which preset matches which program, and "
        "[why some presets give bytes another value than floats]"
        "(../howto/choose-metrics.md#bytes-16-bits-and-floats).\n",
        "| metric | needs | better | range | smallest | verified settings | others |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in cards:
        low, high = (f"{v:g}".replace("inf", "∞") for v in c.range)
        held = [p for p in ("", *c.presets) if p in c.verified]
        others = [p for p in ("", *c.presets) if p not in c.verified]
        lines.append(
            f"| [`{c.name}`](#{c.name}) | {c.needs} | {c.better} | {low} to {high} {c.unit} | {c.min_size} px "
            f"| {_code(p or 'default' for p in held)} | {_code(p or 'default' for p in others)} |"
        )
    for c in cards:
        body = (inspect.getdoc(c.function) or "").replace("``", "`")
        lines += [f"\n## {c.name}\n", _link(body), f"\nSource: {_link(c.paper)}."]
        lines.append(f"\nGradients: {'yes' if c.differentiable else 'no'}.")
        if c.aliases:
            lines.append(f"\nAlso understood: {_code(c.aliases)}.")
        settings = settings_of(c)
        if settings:
            lines.append(
                "\nSettings: "
                + ", ".join(f"`{s.name}` ({s.allowed or s.type}; `{s.default!r}`)" for s in settings)
                + "."
            )
        rounded = [f"{c.name}:{p}" if p else c.name for p in rounding_presets(c)]
        if rounded:
            lines.append(
                f"\nRounded for integers only: {_code(rounded)}; see "
                "[bytes, 16 bits and floats](../howto/choose-metrics.md#bytes-16-bits-and-floats)."
            )
        if c.presets:
            lines += ["\n| preset | settings |", "|---|---|"]
            lines += [
                f"| `{c.name}:{name}` | {_code(f'{k}={v!r}' for k, v in settings.items())}{_own_range(c, name)} |"
                for name, settings in c.presets.items()
            ]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """The reference of the command line, out of the commands themselves."""
    import typer

    from beholder.cli import app

    group: Any = typer.main.get_command(app)
    lines = [NOTE, "# Command line\n", f"{group.help}\n", *_options(group)]
    for name, command in _commands(group):
        positional = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(["beholder", name, "[OPTIONS]", *(p.metavar or p.name.upper() for p in positional)])
        lines += [f"## beholder {name}\n", f"{command.help}\n", f"```text\n{usage}\n```\n"]
        lines += [f"`{p.metavar}`: {p.help}\n" for p in positional]
        lines += _options(command)
    lines += [
        "## Exit status\n",
        "| status | meaning |\n|---|---|\n| 0 | fine |\n| 1 | a threshold was missed |\n| 2 | wrong usage; nothing "
        "was scored |\n| 3 | some inputs failed: their rows say why |\n| 130 | interrupted (Ctrl-C) |\n",
        "A failed input outweighs a missed threshold: with both, the status is 3.",
    ]
    return "\n".join(lines) + "\n"


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its name, those of groups behind the group's."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _options(command: Any) -> list[str]:
    rows = []
    for option in command.params:
        if option.param_type_name == "option":
            value = "" if option.is_flag else " or ".join(f"`{v}`" for v in (option.metavar or "N").split("|"))
            rows.append(f"| {' '.join(f'`{o}`' for o in option.opts)} | {value} | {option.help} |")
    return ["| option | value | |\n|---|---|---|\n" + "\n".join(rows) + "\n"] if rows else []


def training_page() -> str:
    """Every key of a training's configuration, every network, every loss."""
    from beholder.losses.opinions import LOSSES, NEEDS
    from beholder.models.assessors.architectures import list_architectures
    from beholder.training.config import SECTIONS, documentation

    lines = [
        NOTE,
        "# Training\n",
        "How to train: [Train a quality network](../howto/train.md).\n",
        "## Configuration\n",
    ]
    for section, kind in SECTIONS.items():
        rows = [(k, d, a) for k, d, a in documentation() if k.startswith(f"{section}.")]
        lines += [f"### [{section}]\n", f"{kind.__doc__}\n", "| key | default | |", "|---|---|---|"]
        lines += [f"| `{key.partition('.')[2]}` | `{default}` | {about} |" for key, default, about in rows]
        lines.append("")
    lines += [
        "## Networks\n",
        "| `model.architecture` | compares | gives | settings | paper |",
        "|---|---|---|---|---|",
    ]
    for card in list_architectures():
        settings = ", ".join(f"`{s}`" for s in card.settings)
        compares = "yes" if card.reference else ""
        lines.append(f"| `{card.name}` | {compares} | {', '.join(card.gives)} | {settings} | {_link(card.paper)} |")
    lines += ["", "## Losses\n", "Scores are counted in words (20 points), so that all are of order one.\n"]
    lines += ["| `loss.terms` | looks at | |", "|---|---|---|"]
    for name, function in LOSSES.items():
        about = " ".join((inspect.getdoc(function) or "").split())
        lines.append(f"| `{name}` | {NEEDS[name]} | {_link(about)} |")
    return "\n".join(lines) + "\n"


def python_page() -> str:
    """The public names with their signatures and docstrings."""
    import beholder
    from beholder.metrics import Measure

    public = {n: getattr(beholder, n) for n in beholder.__all__ if not n.startswith("_")}
    errors = {n for n, o in public.items() if isinstance(o, type) and issubclass(o, beholder.BeholderError)}
    lines = [
        NOTE,
        "# Python\n",
        "All public names: `import beholder as bh`, then `bh.NAME`. What is heavy is loaded when it is first used.\n",
    ]
    for name in sorted(public.keys() - errors, key=lambda n: (isinstance(public[n], type), n)):
        thing = public[name]
        result = Measure if thing is beholder.metric else thing
        lines += [f"## {name}\n", f"```text\nbh.{name}{_signature(thing)}\n```\n", _link(_described(thing)), ""]
        for method in vars(result).values() if isinstance(result, type) else ():
            if inspect.isfunction(method) and (not method.__name__.startswith("_") or method.__name__ == "__call__"):
                called = "The result is called with" if result is Measure else "Called with"
                title = called if method.__name__ == "__call__" else f"`.{method.__name__}`"
                lines += [f"{title} `{_signature(method, wide=True)}`:\n", _link(_described(method)), ""]
    lines += ["## Errors\n", "```text", (inspect.getdoc(beholder.errors) or "").split("\n\n", 1)[1], "```"]
    return "\n".join(lines) + "\n"


def _signature(thing: Any, *, wide: bool = False) -> str:
    if isinstance(thing, type) and thing.__name__ in ("Image", "Metric", "Row", "Score"):
        return ""  # made by Beholder, not by its user
    signature = inspect.signature(thing)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    text = str(signature.replace(parameters=parameters)).replace("'", "").removesuffix(" -> None")
    if wide or len(text) < 80:
        return text
    lines: list[str] = []
    star = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            lines, star = [*lines, "*"], True
        lines.append(str(parameter).replace("'", ""))
    return "(\n" + "".join(f"    {line},\n" for line in lines) + ")" + text[text.rindex(")") + 1 :]


def _described(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").replace("``", "`")


REFERENCE = {
    "docs/reference/metrics.md": metric_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/training.md": training_page,
    "docs/reference/python.md": python_page,
}


def sources_file() -> str:
    """Where the values come from that each preset is held to, out of the truth files: the package tells its users."""
    import beholder

    found: dict[str, dict[str, list[str]]] = {}
    for card in beholder.list_metrics():
        path = ROOT / f"tests/truth/{card.name}.json"
        truth = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        for row in [*truth.get("rows", []), *truth.get("agreement", [])]:
            told = found.setdefault(card.name, {}).setdefault(row["preset"], [])
            if row["source"] not in told:
                told.append(row["source"])
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


MEASURES = ("srcc", "plcc", "krcc", "rmse", "coverage")
PARTS = {
    "opinions": "the test split",
    "synthetic": "distorted photographs that were not learned from",
    "domain": "pictures that are no photographs",
}
"""Parts of benchmarks/results/assessors.json, which are those of the weights whose hash stands in them."""
WEIGHTS = "src/beholder/models/weights/"
NATIVE = """
The preset `beholder:native` sees a picture of any size at 100 %, in tiles of 768 pixels with 256 pixels of margin whose
sums are merged: the score depends on the tiling by at most 0.5 points.
"""
REMADE = """
The commands, from a checkout of BIQ2021 and a folder of pristine photographs:

```sh
{commands}
python scripts/evaluate_assessors.py opinions BIQ2021
python scripts/evaluate_assessors.py synthetic HELD_OUT.txt TYPE_LEVEL.csv
python scripts/evaluate_assessors.py domain BIQ2021 --kind xray=FOLDER --kind histology=FOLDER
```

Photographs were the references of CID22 (250, CC BY-SA) and CLIC 2025 (41), less 20 that stayed unseen and one damaged
file.
"""
COMMANDS = {
    "beholder": "beholder train recipes/beholder.toml -o runs/beholder --set data.root=BIQ2021 \\\n"
    "  --set synthesis.photographs=PHOTOGRAPHS --set input.frozen_cache=CACHE\n"
    "beholder variant runs/beholder --kind int8\n"
    "python scripts/ship_beholder.py runs/beholder",
    "cnniqa": "beholder train recipes/cnniqa.toml -o runs/cnniqa --set data.root=BIQ2021 \\\n"
    "  --set synthesis.photographs=PHOTOGRAPHS --set input.cache=CACHE\n"
    "python scripts/ship_cnniqa.py runs/cnniqa",
}
LOOKS = """
On BIQ2021's official test split three models of this project were judged before this one, each after its design was
settled on other pictures: heads on frozen features (SRCC .857, PLCC .871; its interval was too narrow), the same with
distorted pictures (.849, .867), and a fine-tuned body (.858, .871). The last of them overfitted the opinions (.911 on
its training pictures), which its validation split had shown, and fell short on synthetic distortions; the present one
was chosen on the validation split and on distorted photographs that it had not learned from. Its test figures are thus
the fourth look at that split. Its distance from the training pictures was made anew afterwards, which changes no score.
"""
EIGHT = """
`beholder score --model beholder-int8` runs the same network with its convolutions in eight bits: {size:.1f} MB, SRCC
{srcc:.4f} on the {pictures:,} validation pictures, where the network in floats has {original_srcc:.4f}. Its interval is
that of the network in floats. Processors differ in how they add eight-bit products; the file is tested when it is
loaded, and refused where the score of its test picture is more than a point off.
"""
SPEED = """
{pictures:,} JPEGs of 512x384, whole processes on two threads ({processor}), `benchmarks/assessors.py`; pyiqa {pyiqa}
with random weights in the same run, without its start-up.

| | pictures a second | processor ms a picture |
|---|---|---|
{rows}

Decoding is {share:.0%} of the processor time of `beholder`.
"""
SPEEDS = {
    "beholder": "`beholder score`",
    "beholder-int8": "`beholder score --model beholder-int8`",
    "cnniqa": "`beholder score -m cnniqa`",
    "pyiqa cnniqa": "pyiqa, cnniqa",
    "pyiqa topiq_nr": "pyiqa, topiq_nr",
}


def card_page(name: str) -> str:
    """The card of a shipped assessor, out of its header and of what scripts/evaluate_assessors.py found."""
    from beholder.models.cards import write_card
    from beholder.models.files import read_header, shipped
    from beholder.models.runtime import MODELS, weights_hash

    results = json.loads((ROOT / "benchmarks/results/assessors.json").read_text(encoding="utf-8"))
    done = {part: found for part, found in results.items() if found["weights"][name] == weights_hash(name)}
    tested, sections = None, {}
    if "opinions" in done:
        opinions = done["opinions"]
        whole = opinions[name]["all"]
        tested = {
            "data": {"name": "BIQ2021's official test split"},
            "figures": {k: whole[k] for k in MEASURES} | {"pictures": opinions["pictures"]["all"]},
            "intervals": {k: whole[f"{k}_interval"] for k in ("srcc", "plcc")},
        }
        sections["By part of the test split"] = _parts(opinions, name)
    if "synthetic" in done:
        sections["Synthetic distortions"] = _synthetic(done["synthetic"])
    if "domain" in done:
        sections["Foreign pictures"] = _foreign(done["domain"][name])
    missing = [title for part, title in PARTS.items() if part not in done]
    if missing:
        sections["Not measured yet"] = f"These weights have not been judged by {', '.join(missing)}.\n"
    sections["Made again"] = REMADE.format(commands=COMMANDS[name])
    sections = {"Speed": _speed()} | sections
    if name == "beholder":
        sections = {"In eight bits": _eight()} | sections
        sections = {"Larger pictures": NATIVE, "Looks at the test split": LOOKS} | sections
    size = sum(shipped(file).stat().st_size for file in MODELS[name])
    header = read_header(shipped(f"{name}.safetensors"))
    return write_card(header, tested=tested, weights=weights_hash(name), size=size, sections=sections)


def _eight() -> str:
    from beholder.models.files import shipped
    from beholder.models.judging import Judge

    path = shipped("beholder.int8.onnx")
    return EIGHT.format(**Judge(path).header["variant"], size=path.stat().st_size / 1e6)


def _speed() -> str:
    found = json.loads((ROOT / "benchmarks/results/assessor_speed.json").read_text(encoding="utf-8"))
    rows = found["rows"]
    lines = [f"| {told} | {rows[n]['pictures_a_second']:.1f} | {rows[n]['cpu_ms']:.1f} |" for n, told in SPEEDS.items()]
    share = (rows["decoding"]["cpu_ms"] - rows["start"]["cpu_ms"]) / rows["beholder"]["cpu_ms"]
    machine = found["machine"]
    return SPEED.format(
        pictures=found["pictures"],
        processor=machine["processor"],
        pyiqa=found["pyiqa"],
        rows="\n".join(lines),
        share=share,
    )


def _parts(opinions: dict[str, Any], name: str) -> str:
    lines = [
        "| part | pictures | SRCC | 95 % interval | PLCC | 95 % interval | coverage |",
        "|---|---|---|---|---|---|---|",
    ]
    for part, count in opinions["pictures"].items():
        f = opinions[name][part]
        (a, b), (c, d) = f["srcc_interval"], f["plcc_interval"]
        lines.append(
            f"| {part} | {count:,} | {f['srcc']:.3f} | {a:.3f} to {b:.3f} | {f['plcc']:.3f} | {c:.3f} to {d:.3f} "
            f"| {f['coverage']:.1%} |"
        )
    width = opinions[name]["mean width"]
    return "\n".join(lines) + (
        f"\n\nLook-alikes: test pictures whose perceptual hash is within 8 bits of a training picture's. "
        f"The intervals are {width:.0f} points wide on average; "
        f"{opinions[name]['flagged']} pictures were flagged."
    )


def _synthetic(found: dict[str, Any]) -> str:
    names = [n for n in found if isinstance(found[n], dict) and "srcc" in found[n]]
    lines = ["| measure | SRCC | within type | over photographs |", "|---|---|---|---|"]
    lines += [
        f"| {n} | {found[n]['srcc']:.3f} | {found[n]['within type']:.3f} | {found[n]['over photographs']:.3f} |"
        for n in names
    ]
    return (
        f"KADID-10k's 25 distortions at five levels on {found['photographs']} photographs that no model has seen "
        f"({found['pictures']:,} pictures), against the human means of type and level:\n\n" + "\n".join(lines)
    )


def _foreign(found: dict[str, Any]) -> str:
    lines = ["| kind | pictures | AUC against the test split | flagged |", "|---|---|---|---|"]
    for kind, f in found.items():
        if isinstance(f, dict):
            flagged = f"{f['flagged']:.0%}" if "flagged" in f else ""
            lines.append(f"| {kind} | {f['pictures']} | {f['auc']:.3f} | {flagged} |")
    return "\n".join(lines) + f"\n\nOf the photographs {found['photographs flagged']:.1%} are flagged."


FILES = {
    "src/beholder/metrics/sources.json": sources_file,
    f"{WEIGHTS}CARD.md": lambda: card_page("beholder"),
    f"{WEIGHTS}CARD_CNNIQA.md": lambda: card_page("cnniqa"),
}


def main() -> int:
    """Write or check everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, tell what is stale")
    check = parser.parse_args().check
    wanted = {ROOT / name: make for name, make in {**REFERENCE, **FILES}.items()}
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
