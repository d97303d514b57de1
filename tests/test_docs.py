"""The documentation is true: examples print what it shows, pages are fresh, links and names exist."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import pytest

import beholder
from beholder.errors import UnknownMetricError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import doc_examples  # noqa: E402
import generate_docs  # noqa: E402

PAGES = [p for p in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))] if p.is_file()]
APACHE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def slug(heading: str) -> str:
    """The anchor that MkDocs and GitHub give a heading of plain words."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower())


# ------------------------------------------------------------------------------------------------ examples


@pytest.mark.parametrize("page", doc_examples.example_pages(), ids=name_of)
def test_examples_run_and_print_what_the_page_shows(page: Path) -> None:
    for block, now in doc_examples.examples_of(page):
        assert doc_examples.agrees(block.text, now), f"run scripts/generate_docs.py: {name_of(page)} now prints\n{now}"


def test_the_pages_have_the_examples_they_should() -> None:
    kinds = {name_of(p): {b.kind for b in doc_examples.blocks_of(p.read_text())} for p in doc_examples.example_pages()}
    assert {"console", "python", "text"} <= kinds["README.md"]
    howtos = [name for name in kinds if name.startswith("docs/howto/")]
    assert len(howtos) >= 7
    assert all("python" in kinds[name] for name in howtos)


def test_a_failing_example_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(doc_examples.ExampleError, match="status 3"):
        doc_examples.run_console("$ beholder score missing.png\n", tmp_path)
    shown = doc_examples.run_console("$ beholder score missing.png -q > rows.csv\n$ echo $?\n", tmp_path)
    assert shown.splitlines()[-1] == "3"
    with pytest.raises(doc_examples.ExampleError, match="ZeroDivisionError"):
        doc_examples.run_python(["1 / 0"], tmp_path)
    with pytest.raises(doc_examples.ExampleError, match="UserWarning"):
        doc_examples.run_python(["import warnings", "warnings.warn('old')"], tmp_path)


@pytest.mark.parametrize(
    ("shown", "now", "same"),
    [
        ("a 0.6395", "a 0.6396", True),
        ("a 0.6395", "a 0.6595", False),
        ("3", "2", False),
        ("b.jpg  55 ±18 fair", "b.jpg   56 ±18 fair", True),
        ("b.jpg  55 ±18 fair", "b.jpg   58 ±18 fair", False),
        ("b.jpg  55 ±18 fair", "b.jpg   55 ±18 good", False),
        ("mean 66", "mean  67", True),
        ("4 pictures", "5 pictures", False),
        ("one\ntwo", "one", False),
        ("inf", "nan", False),
    ],
)
def test_outputs_are_compared_with_sense(shown: str, now: str, same: bool) -> None:
    assert doc_examples.agrees(shown, now) is same


# ------------------------------------------------------------------------------------------------ generated pages


@pytest.mark.parametrize("name", [*generate_docs.REFERENCE, *generate_docs.FILES])
def test_generated_file_is_fresh(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    make = {**generate_docs.REFERENCE, **generate_docs.FILES}[name]
    assert text == make(), f"{name} is stale: run scripts/generate_docs.py"


def test_reference_names_every_metric_preset_option_and_public_name() -> None:
    metrics, cli, training, python = (generate_docs.REFERENCE[name]() for name in generate_docs.REFERENCE)
    assert all(f"| `{name}` |" in training for name in ("mse", "rate", "hyperiqa", "frozen_cache"))
    for card in beholder.list_metrics():
        assert f"\n## {card.name}\n" in metrics
        assert all(f"`{card.name}:{preset}`" in metrics for preset in card.presets)
    assert all(f"`{option}`" in cli for option in ("--reference", "--min", "--max", "--restart", "--json"))
    assert all(name in python for name in beholder.__all__ if not name.startswith("_"))


# ------------------------------------------------------------------------------------------------ links and names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_internal_links_work(page: Path) -> None:
    targets = [t for t in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", t)]
    for target in targets:
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), f"{name_of(page)} links to {target}, which does not exist"
        if anchor:
            headings = [slug(h) for h in re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE)]
            assert anchor in headings, f"{name_of(page)} links to {target}, which has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_is_loaded_from_the_network(page: Path) -> None:
    assert not re.findall(r"!\[[^\]]*\]\((?:https?:)?//|<(?:img|script|link|iframe)\b[^>]*//", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_metrics_and_options_named_in_prose_exist(page: Path) -> None:
    from typer.main import get_command

    from beholder.cli import app

    known = {card.name for card in beholder.list_metrics()}
    for name, preset in re.findall(r"`(\w+):([\w-]+)`", prose(page)):
        if name in known:
            try:
                beholder.metric(f"{name}:{preset}")
            except UnknownMetricError as error:
                pytest.fail(f"{name_of(page)}: {error}")
    commands = [command for _, command in generate_docs._commands(get_command(app))]
    options = {o for c in commands for p in c.params for o in p.opts} | {"--version", "--help", "--check", "--fast"}
    assert set(re.findall(r"`(--[a-z-]+)", prose(page))) <= options


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r":\s+(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert listed == {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}


# ------------------------------------------------------------------------------------------------ licence and sources


def test_licence_is_the_official_text() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE


def test_every_sample_has_its_source_in_notice() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    stems = {folder: {p.stem for p in (ROOT / "samples" / folder).iterdir()} for folder in ("originals", "degraded")}
    assert stems["originals"] == stems["degraded"]
    assert all(re.search(rf"^- {stem}: .*(public domain|CC0)$", notice, re.MULTILINE) for stem in stems["originals"])


def test_model_card_is_shipped_and_shown() -> None:
    card = ROOT / "src/beholder/models/weights/CARD.md"
    assert card.is_file()
    assert name_of(card) in (ROOT / "docs/model-card.md").read_text(encoding="utf-8")


def test_figures_of_the_readme_are_those_of_the_card() -> None:
    """Those of the test split, or of validation before the test split was looked at."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    card = (ROOT / "src/beholder/models/weights/CARD.md").read_text(encoding="utf-8")

    def true(measure: str) -> float:
        (head,) = re.findall(r"^\| measure \|(.+)\|$", card.split("## By part")[0], re.MULTILINE)
        titles = [t.strip() for t in head.split("|")]
        (row,) = re.findall(rf"^\| {measure} \|(.+)\|$", card.split("## By part")[0], re.MULTILINE)
        return float(row.split("|")[titles.index("test" if "test" in titles else "validation")])

    for measure in ("SRCC", "PLCC"):
        told = re.search(rf"{measure} (0\.\d+)", readme)
        assert told is not None
        assert abs(float(told[1]) - true(measure)) <= 0.0005 + 1e-9
    told = re.search(r"covers ([\d.]+) ?%", readme)
    assert told is not None
    assert abs(float(told[1]) / 100 - true("share of opinions in the interval")) <= 0.0005 + 1e-9
