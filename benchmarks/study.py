"""Write docs/study.md out of the example study: python benchmarks/study.py runs/study

The study is made by `beholder tune recipes/study.toml -o runs/study …`, whose trials.csv and tuning.png this takes.
"""

import argparse
import csv
import shutil
from collections import defaultdict
from pathlib import Path
from statistics import mean, median

from common import HERE, RESULTS

DOCS = HERE.parent / "docs"
PAGE = """# What training choices do: an example study

Written by `benchmarks/study.py`; do not edit by hand. `beholder tune recipes/study.toml` tried every combination of
optimiser, learning rate, loss and regularisation: {count} trainings of the architecture `beholder` on features of its
frozen ImageNet backbone, 8 epochs on 800 pictures of BIQ2021, judged on 200 others by SRCC. It is small on purpose: it
says what moves the figure on such a budget, and how much, not which choice is best for ever.

![SRCC of every trial over each choice, and the importance of each](img/study.png)

Best: SRCC {best:.3f} with {chosen}.

{tables}

An optimiser needs its rate; the median SRCC of each by both:

{crossed}

What can be read off: {lesson}
"""
NAMES = {
    "optimiser.name": "optimiser",
    "optimiser.rate": "learning rate",
    "loss.terms": "loss",
    "regularisation.dropout": "dropout",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    rows = [r for r in csv.DictReader((run / "trials.csv").open(newline="")) if r["srcc"]]
    shutil.copy(run / "trials.csv", RESULTS / "study.csv")
    shutil.copy(run / "tuning.png", DOCS / "img" / "study.png")
    top = max(rows, key=lambda r: float(r["srcc"]))
    tables, spans = [], {}
    for key, name in NAMES.items():
        groups = defaultdict(list)
        for row in rows:
            groups[row[key]].append(float(row["srcc"]))
        lines = [f"| {name} | trainings | median SRCC | mean | best |", "|---|---|---|---|---|"]
        for value, found in sorted(groups.items(), key=lambda g: -median(g[1])):
            lines.append(f"| {value} | {len(found)} | {median(found):.3f} | {mean(found):.3f} | {max(found):.3f} |")
        best = [max(found) for found in groups.values()]
        medians = [median(found) for found in groups.values()]
        spans[name] = (max(medians) - min(medians), max(best) - min(best))
        tables.append("\n".join(lines))
    rates = sorted({r["optimiser.rate"] for r in rows}, key=float)
    crossed = [f"| optimiser | {' | '.join(rates)} |", "|---" * (len(rates) + 1) + "|"]
    for name in sorted({r["optimiser.name"] for r in rows}):
        at = [
            [float(r["srcc"]) for r in rows if (r["optimiser.name"], r["optimiser.rate"]) == (name, q)] for q in rates
        ]
        crossed.append(f"| {name} | " + " | ".join(f"{median(found):.3f}" for found in at) + " |")
    order = sorted(spans, key=lambda n: -spans[n][0])
    told = "; ".join(
        f"{n}: {spans[n][0]:.3f} between medians, {spans[n][1]:.3f} between the best of each" for n in order
    )
    lesson = f"how far the values of each choice lie apart, widest first. {told[0].upper()}{told[1:]}."
    chosen = ", ".join(f"{name} {top[key]}" for key, name in NAMES.items())
    page = PAGE.format(
        count=len(rows),
        best=float(top["srcc"]),
        chosen=chosen,
        tables="\n\n".join(tables),
        lesson=lesson,
        crossed="\n".join(crossed),
    )
    (DOCS / "study.md").write_text(page)


if __name__ == "__main__":
    main()
