"""Write docs/metric-speed.md and docs/ladders.md from the results."""

from collections.abc import Callable

from common import HERE, RESULTS
from report import load, milliseconds, table
from why import CASES

import beholder as bh

DOCS = HERE.parent / "docs"
SPEED = """# Every metric beside its peers

Written by `benchmarks/run`; do not edit by hand. {width}x{height}, {threads} threads, one process, in turn; medians in
milliseconds, quartiles in brackets. "bytes" is a NumPy array of uint8 in memory; "tensors" is PyTorch in single
precision in [0, 1], the same for all libraries; "with gradient" adds the way back to the first picture. "Times
Beholder" compares a peer with Beholder on bytes where the row is a forward one, and with Beholder's gradient where it
is one with gradient: above 1 is slower than Beholder. "4K" is the memory that a picture of 3840x2160 adds.
Values differ where definitions do: see [where peers disagree](disagreements.md). `lpips` and `dists` ran with random
weights, which takes as long as with the published ones; their peers fetch theirs from the network, and did not run.

{machine}
"""
LADDERS = """# Which metric notices which distortion

Written by `benchmarks/ladders.py`; do not edit by hand. {count} photographs ({names}), {side}x{side} pixels from the
middle; every [distortion](howto/distort.md) at its five levels; the mean score of the photographs. A ladder holds when
that mean never improves from a level to the next and is worse at the last than without distortion. A signed distortion
is two ladders, upwards and downwards. {good} of {all} ladders hold. Here are those that do not: what a metric is blind
to, or takes for an improvement.

Not here are metrics of two sets (fid, kid, precision_recall), metrics of a network whose weights each user brings
({brought}).
"""
DISAGREE = """# Where peers disagree

Written by `benchmarks/run`; do not edit by hand. Programs give different values under one name. The first table says
who is right, where that could be found out: by the authors' own program, a published table, or exact arithmetic. The
second was measured in one run, on one pair ({image} and {reference} of the tests' pictures): every peer's value, and
the preset of Beholder that is equal to it (to {same:g}, single precision and another order of summation).
"""
WHAT = {"reference": "Full reference", "image": "No reference"}


def speed() -> str:
    found = load("metrics")
    machine, (width, height) = found["machine"], found["size"]
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    about = f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}; {versions}."
    text = SPEED.format(width=width, height=height, threads=found["threads"], machine=about)
    summary, parts = [], ""
    for row in sorted(found["rows"], key=lambda r: r["metric"]):
        times, values = row["seconds"], row["values"]
        own = times["beholder, bytes"]["median"]
        peers = {n: t["median"] for n, t in times.items() if not n.startswith("beholder") and "gradient" not in n}
        best = min(peers, key=peers.__getitem__) if peers else ""
        memory = f"{row['peak_mb']:.0f}"
        small = f"{times['beholder, bytes, 512x384']['median'] * 1e3:.1f}"
        ratio = f"{peers[best] / own:.1f}" if best else ""
        peer = f"{best.partition(',')[0]} {peers[best] * 1e3:.1f}" if best else ""
        summary.append([f"`{row['metric']}`", row["picture"], f"{own * 1e3:.1f}", small, peer, ratio, memory])
        if not peers:
            continue
        cells = []
        for name, took in times.items():
            if name.endswith("512x384"):
                continue
            backwards = times.get("beholder, tensors, with gradient", took)
            base = backwards if "gradient" in name else times["beholder, bytes"]
            value = values[name]
            shown = "" if value is None else f"{value:.6f}"
            cells.append([name, milliseconds(took), f"{took['median'] / base['median']:.2f}", shown])
        cells += [[name, "failed", "", reason] for name, reason in row["failed"].items()]
        parts += f"\n### {row['metric']}\n\n" + table(("Library", "ms", "Times Beholder", "Value"), cells)
    there = {r["metric"] for r in found["rows"]}
    absent = [c.name for c in bh.list_metrics() if c.name not in there and c.needs != "set"]
    text += f"\nNot measured in this run: {', '.join(absent)}.\n" if absent else ""
    head = ("Metric", "Picture", "Beholder, ms", "512x384, ms", "Fastest peer, ms", "Times Beholder", "4K, MB")
    return text + "\n" + table(head, summary) + "\n## Peer by peer\n" + parts


def ladders() -> str:
    found = load("ladders")
    rows = found["rows"]
    good = sum(r["monotone"] for r in rows)
    names = ", ".join(n.rpartition(".")[0] for n in found["photographs"])
    absent = [c for c in bh.list_metrics() if c.name not in {r["metric"] for r in rows} and c.needs != "set"]
    brought = ", ".join(f"`{c.name}`" for c in absent if c.backbones)
    count = len(found["photographs"])
    text = LADDERS.format(
        count=count,
        names=names,
        side=found["side"],
        good=good,
        all=len(rows),
        brought=brought,
    )
    for needs, title in WHAT.items():
        cells = []
        for name in sorted({r["metric"] for r in rows if r["needs"] == needs}):
            mine = [r for r in rows if r["metric"] == name]
            failed = [f"{r['distortion']}{' ' + r['side'] if r['side'] else ''}" for r in mine if not r["monotone"]]
            held = f"{len(mine) - len(failed)} of {len(mine)}"
            cells.append([f"`{name}`", bh.metric(name).card.better, held, ", ".join(failed) or "none"])
        text += f"\n## {title}\n\n" + table(("Metric", "Better", "Ladders that hold", "Exceptions"), cells)
    return text


def disagreements() -> str:
    found = load("disagreements")
    text = DISAGREE.format(image=found["image"], reference=found["reference"], same=2e-5)
    text += "\n## Who is right\n\n" + table(
        ("Metric", "Pair", "Values", "Why"), [[f"`{m}`", pair, values, why] for m, pair, values, why in CASES]
    )
    cells = []
    for r in found["rows"]:
        same = ", ".join(f"`{n}`" for n in r["same"])
        own = ", ".join(f"`{n}` {v:.6g}" for n, v in r["presets"].items())
        cells.append([f"`{r['metric']}`", r["program"], f"{r['value']:.7g}", same or "none", own])
    header = ("Metric", "Program", "Value", "Equal to", "Beholder's values")
    return text + "\n## One pair, every program\n\n" + table(header, cells)


def main() -> None:
    pages: dict[str, tuple[str, Callable[[], str]]] = {
        "metrics": ("metric-speed.md", speed),
        "ladders": ("ladders.md", ladders),
        "disagreements": ("disagreements.md", disagreements),
    }
    for name, (page, write) in pages.items():
        if (RESULTS / f"{name}.json").exists():
            (DOCS / page).write_text(write())


if __name__ == "__main__":
    main()
