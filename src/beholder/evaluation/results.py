"""An evaluation as JSON, and as the table that a paper or a README takes: Markdown and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from beholder.evaluation.judged import Figures
from beholder.evaluation.krasula import Decisions
from beholder.evaluation.protocol import Evaluation
from beholder.version import __version__

MEASURES = {
    "srcc": "SRCC",
    "krcc": "KRCC",
    "plcc": "PLCC",
    "plcc_raw": "PLCC, raw",
    "rmse": "RMSE",
    "mae": "MAE",
    "outlier_ratio": "outlier ratio",
    "rmse_star": "RMSE*",
    "weighted_srcc": "weighted SRCC",
    "pwrc": "PWRC",
    "srcc_within_reference": "SRCC in references",
    "srcc_within_type": "SRCC in types",
}
LOWER = ("rmse", "mae", "outlier_ratio", "rmse_star")
"""Measures of which less is better."""
PAPER = ("srcc", "krcc", "plcc", "rmse", "outlier_ratio")


def to_dict(found: Evaluation, *, source: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All numbers, JSON-able; what is not defined is None. source: facts of the data to keep beside them."""
    stimuli = found.stimuli
    whole = {
        "beholder": __version__,
        "source": dict(source or {}),
        "data": {
            "pictures": len(stimuli.opinions),
            "names": [stimuli.name(i) for i in range(len(stimuli.opinions))],
            "opinions": stimuli.opinions,
            "error": stimuli.error,
            "references": stimuli.references,
            "types": stimuli.types,
            "levels": stimuli.levels,
            "scale": stimuli.scale,
            "drawn_over": found.units.kind,
            "units": found.units.count,
        },
        "options": asdict(found.options),
        "warnings": found.warnings,
        "metrics": [_metric(f) for f in found.figures.values()],
        "baselines": found.baselines,
        "tests": {
            test: [{"first": a, "second": b, **values} for (a, b), values in pairs.items()]
            for test, pairs in found.tests.items()
        },
        "groups": found.groups,
    }
    cleaned: dict[str, Any] = clean(whole)
    return cleaned


def _metric(f: Figures) -> dict[str, Any]:
    mapping = f.mapping
    return {
        "name": f.name,
        "lower_better": f.lower_better,
        "values": f.values,
        "intervals": f.intervals,
        "bca": f.bca,
        "splits": f.splits,
        "mapping": {
            "kind": mapping.kind,
            "asked": mapping.asked,
            "parameters": mapping.parameters,
            "fitted_on": "all pictures",
            "low": mapping.low,
            "high": mapping.high,
            "rises": mapping.rising,
            "note": mapping.note,
        },
        "mapped": f.mapped,
        "decisions": None if f.decisions is None else _decisions(f.decisions),
        "parts": f.parts,
        "warnings": f.warnings,
    }


def _decisions(d: Decisions) -> dict[str, Any]:
    return {
        "different": _area(d, "different"),
        "better": _area(d, "better"),
        "correct": d.correct,
        "pairs": d.pairs,
        "told_apart": d.told,
        "resolving_power": d.threshold,
    }


def _area(d: Decisions, which: str) -> dict[str, Any] | None:
    """deviation: with pairs that share a content as dependent; delong: as if all pairs were independent."""
    area = getattr(d, which)
    if area is None:
        return None
    return {
        "auc": area.value,
        "interval": d.interval(which),
        "deviation": d.deviation(which),
        "delong": {"interval": area.interval(), "deviation": math.sqrt(max(area.variance, 0.0))},
    }


def clean(value: Any) -> Any:
    """A value for JSON: no arrays, None where a number is not defined."""
    if isinstance(value, Mapping):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return clean(value.tolist())
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# ------------------------------------------------------------------------------------------------------------- tables


def table(found: Evaluation, measures: Sequence[str] = PAPER) -> tuple[list[str], list[list[str]]]:
    """Head and rows, best SRCC first; a group letter marks metrics that are statistically equal in SRCC."""
    shown = [m for m in measures if any(m in f.values for f in found.figures.values())]
    order = sorted(found.figures.values(), key=lambda f: -_known(f.values["srcc"], -2))
    letters = {n: "".join(chr(97 + i) for i, g in enumerate(found.groups[:26]) if n in g) for n in found.figures}
    rows = [[f.name, *(_cell(f, m) for m in shown), letters[f.name]] for f in order]
    return ["metric", *(MEASURES[m] for m in shown), "group"], rows


def _known(value: float, instead: float) -> float:
    return value if math.isfinite(value) else instead


def _cell(f: Figures, measure: str) -> str:
    value = f.values.get(measure, math.nan)
    if not math.isfinite(value):
        return "–"
    ends = f.intervals.get(measure)
    return f"{value:.3f}" if ends is None else f"{value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def footnote(found: Evaluation) -> str:
    """What a reader must know of the table."""
    o = found.options
    kinds = sorted({f.mapping.kind for f in found.figures.values()})
    return (
        f"{len(found.stimuli.opinions):,} pictures. In brackets {o.level:.0%} percentile bootstrap intervals over "
        f"{found.units.count:,} {found.units.kind}s, {o.rounds:,} rounds, seed {o.seed}. PLCC and RMSE after a mapping "
        f"fitted on all pictures ({', '.join(kinds)}), which the bootstrap keeps. A letter stands for metrics that do "
        f"not differ in SRCC from the best of them at {1 - o.level:.0%} (paired bootstrap, {ADJUSTED[o.adjust]})."
    )


ADJUSTED = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "not adjusted for many tests"}


def to_markdown(found: Evaluation, measures: Sequence[str] = PAPER) -> str:
    """The table and its footnote in Markdown, with the warnings below."""
    head, rows = table(found, measures)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
    text = "\n".join(lines) + "\n\n" + footnote(found) + "\n"
    warnings = all_warnings(found)
    return text + ("\n" + "\n".join(f"- {w}" for w in warnings) + "\n" if warnings else "")


def all_warnings(found: Evaluation) -> list[str]:
    """Those of the data, then those of every metric by its name."""
    return [*found.warnings, *(f"{f.name}: {w}" for f in found.figures.values() for w in f.warnings)]


_TEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "–": "--",
    }
)


def to_latex(found: Evaluation, measures: Sequence[str] = PAPER) -> str:
    """A tabular with booktabs rules, the best of each column bold, in a table with its caption."""
    head, rows = table(found, measures)
    shown = [m for m in measures if MEASURES[m] in head]
    best = {}
    for m in shown:
        values = [f.values.get(m, math.nan) for f in found.figures.values()]
        known = [v for v in values if math.isfinite(v)]
        if known:
            best[m] = min(known) if m in LOWER else max(known)
    order = {f.name: f for f in found.figures.values()}
    lines = [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{l{'r' * len(shown)}l}}", r"\toprule"]
    lines += [" & ".join(h.translate(_TEX) for h in head) + r" \\", r"\midrule"]
    for row in rows:
        cells = [row[0].translate(_TEX)]
        for m, cell in zip(shown, row[1:-1], strict=True):
            text = cell.translate(_TEX)
            cells.append(rf"\textbf{{{text}}}" if order[row[0]].values.get(m) == best.get(m) else text)
        lines.append(" & ".join([*cells, row[-1]]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", rf"\caption{{{footnote(found).translate(_TEX)}}}", r"\end{table}"]
    return "\n".join(lines) + "\n"
