"""Model cards: what a file's header and test figures say, as a page that a reader can judge the model by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from beholder.models.files import read_header
from beholder.models.viewing import min_side_of

RESEARCH = "It judges quality, not beauty, truth or safety, and must not decide about people."


def write_card(
    header: Mapping[str, Any],
    *,
    tested: Mapping[str, Any] | None = None,
    weights: str = "",
    size: int = 0,
    sections: Mapping[str, str] | None = None,
) -> str:
    """The card of a model file in Markdown.

    header: of the file; tested: what `beholder.training.testing.examine` wrote beside it, {data, figures, intervals};
    weights: the file's hash; size: its bytes; sections: further ones by title, before the limits.
    """
    config = header["config"]
    parts = [f"# Model card: `{header['name']}`", _what(header, weights, size), "## Use", _use(header)]
    parts += ["## Training", _training(header, config), "## Figures", _figures(header, tested)]
    for title, text in (sections or {}).items():
        parts += [f"## {title}", text.strip()]
    parts += ["## Limits", _limits(header)]
    return "\n\n".join(parts) + "\n"


def card_of(path: str | Path) -> str:
    """The card of a trained file, .safetensors, with the test figures that stand beside it; ModelError, InputError."""
    path = Path(path)
    beside = path.with_suffix(".test.json")
    tested = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else None
    return write_card(read_header(path), tested=tested, size=path.stat().st_size)


def _what(header: Mapping[str, Any], weights: str, size: int) -> str:
    facts = [f"architecture `{header['architecture']}` ({header['paper']})"]
    if "parameters" in header:
        facts.append(f"{header['parameters']:,} parameters")
    if size:
        facts.append(f"{size / 1e6:.2f} MB")
    if weights:
        facts.append(f"weights `{weights}`")
    if "licence" in header:
        facts.append(f"licence {header['licence']}")
    return "What it is: " + ", ".join(facts) + "."


def _use(header: Mapping[str, Any]) -> str:
    given = "A picture and its reference" if header["reference"] else "A picture"
    interval = header.get("interval")
    held = f", with a {interval['level']:.0%} interval" if interval else ""
    seen = "up to a megapixel at 100 %, larger ones reduced to that" if config_of(header, "viewing") else "at 100 %"
    if config_of(header, "resize"):
        seen += f", and so that the shorter side has {config_of(header, 'resize')} pixels"
    return (
        f"{given} in, a score from 0 (worst) to 100 (best) out, as people would rate it on average{held}. Pictures are "
        f"seen {seen}; a side under {min_side_of(header)} pixels is continued by mirroring."
    )


def config_of(header: Mapping[str, Any], key: str) -> Any:
    """A key of the configuration's section [input]."""
    return header["config"]["input"][key]


def _training(header: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    data = header["data"]
    counts = ", ".join(f"{data['pictures'][name]:,} {name}" for name in ("train", "validation", "test"))
    lines = [f"- Opinions: {data['name']}; pictures: {counts}. Digest of pictures' names, opinions and splits: "]
    lines[0] += f"`{data['digest'][:16]}`."
    part = config["synthesis"]
    if part["photographs"] and part["count"]:
        kinds = len(header.get("types") or [])
        lines.append(
            f"- Added in every epoch: {part['count']:,} distorted versions of pristine photographs, {kinds} types, "
            f"labels by {part['label']!r}, weight {part['weight']}."
        )
    begun = header.get("begun_from", config["model"]["weights"])
    still = config["model"]["frozen"]
    kept = f"; stages kept still: {'all' if still == -1 else still}" if still else ""
    lines.append(f"- Begins {'from scratch' if begun == 'none' else f'from: {begun}'}{kept}.")
    terms = ", ".join(f"{weight:g} {name}" for name, weight in config["loss"]["terms"].items() if weight)
    method, run = config["optimiser"], config["run"]
    lines.append(
        f"- Loss: {terms}. Method: {method['name']}, rate {method['rate']:g}, body's share {method['body_rate']:g}, "
        f"weight decay {method['weight_decay']:g}; {_epochs(header)}batches of {run['batch']}."
    )
    versions = ", ".join(f"{k} {v}" for k, v in header["versions"].items())
    took = f"; {header['seconds'] / 60:.1f} minutes of training" if header.get("seconds") else ""
    lines.append(f"- Seed {header['seed']}; made {header['created']}{took}; {versions}.")
    lines.append("- The whole configuration stands in the file's header.")
    return "\n".join(lines)


def _epochs(header: Mapping[str, Any]) -> str:
    asked = header["config"]["run"]["epochs"]
    if "epochs" not in header:
        return f"{asked} epochs, "
    done, best = header["epochs"], header["best_epoch"]
    return f"{done} epochs{f' of {asked} asked for' * (done != asked)}, the weights of number {best}, "


def _figures(header: Mapping[str, Any], tested: Mapping[str, Any] | None) -> str:
    validation = header["validation"]
    text = "| measure | validation |"
    rule = "|---|---|"
    rows = {name: f"| {LABELS[name]} | {_number(validation[name])} |" for name in LABELS if name in validation}
    note = "Validation figures chose the epoch and made the interval."
    if tested is not None:
        text, rule = text + " test | 95 % interval of the test |", rule + "---|---|"
        for name in rows:
            value = tested["figures"].get(name)
            low, high = tested["intervals"].get(name, (None, None))
            span = "" if low is None else f"{low:.4g} to {high:.4g}"
            rows[name] += f" {'' if value is None else f'{value:.4g}'} | {span} |"
        note += f" Test: {int(tested['figures']['pictures']):,} pictures of {tested['data']['name']}."
    note += " PLCC is without a mapping, RMSE in points of 0-100."
    return "\n".join([text, rule, *rows.values()]) + "\n\n" + note


def _number(value: float | None) -> str:
    return "not defined" if value is None or value != value else f"{value:.4g}"


LABELS = {
    "srcc": "SRCC",
    "plcc": "PLCC",
    "krcc": "KRCC",
    "rmse": "RMSE",
    "coverage": "share of opinions in the interval",
}


def _limits(header: Mapping[str, Any]) -> str:
    lines = [
        f"Its opinions are those of {header['data']['name']}; other people, displays and tasks differ.",
        "Pictures unlike the training pictures are flagged `out_of_domain`: a hint, not a guard.",
        "The interval's promise is on average over pictures like the validation ones, not for each kind."
        if header.get("interval")
        else "It has no interval: there were too few validation pictures for one.",
        RESEARCH,
    ]
    return "\n".join(f"- {line}" for line in lines)
