"""Who may import whom: the layers of the design, read from the source and tried in a fresh interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import beholder

ROOT = Path(beholder.__file__).parent
# A module may import from its own layer and from those before it.
LAYERS = (
    ("version",),
    ("errors",),
    (
        "image",
        "decoding",
        "rasters",
        "profiles",
        "tiff",
        "arrays",
        "banded",
        "banks",
        "colours",
        "encoding",
        "locks",
        "progress",
        "pyramids",
        "resizing",
        "statistics",
        "strips",
    ),
    ("kernels", "metrics", "models"),
    ("distortions", "distorting", "scoring", "sets", "collecting", "datasets", "losses"),
    ("training", "tuning", "evaluation", "restoration", "explanation", "reporting", "medical", "study"),
    ("cluster", "serving", "cli"),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FACES = LAYERS[-1]
ENTRIES = ("__init__", "__main__")  # they hand out everything: __init__ lazily, __main__ runs cli
HEAVY = ("numpy", "scipy", "numba", "onnxruntime", "torch", "PIL", "rich", "typer", "simplejpeg", "pyarrow")
TRAINING = (
    "losses/opinions.py",
    "training/caching.py",
    "training/feeding.py",
    "training/fitting.py",
    "training/learning.py",
    "training/optimisers.py",
    "training/ranks.py",
)
"""Files that only a training loads, beside the networks."""
SOURCES = sorted(ROOT.rglob("*.py"))


def home(path):
    """The module of the layer table that a file belongs to; the command line is one, in several files."""
    name = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "cli" if name.startswith("cli_") else name


def imports(tree):
    """(module, whether when the file is loaded, whether only for the type checker) of every import statement."""
    found = []

    def visit(node, loaded, typing):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            loaded = False
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                visit(child, loaded, True)
            for child in node.orelse:
                visit(child, loaded, typing)
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, loaded, typing) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.append((node.module, loaded, typing))
            if node.module == "beholder":
                found.extend((f"beholder.{alias.name}", loaded, typing) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child, loaded, typing)

    visit(tree, True, False)
    return found


TREES = {path: ast.parse(path.read_text(), str(path)) for path in SOURCES}
IMPORTS = {path: imports(tree) for path, tree in TREES.items()}
each = pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))


def own(path, typed=True):
    """Beholder's modules that a file imports, by their names in the layer table; typed: for the type checker, too."""
    modules = {m.split(".")[1] for m, _, typing in IMPORTS[path] if m.startswith("beholder.") and (typed or not typing)}
    modules = {"cli" if m.startswith("cli_") else m for m in modules}
    return {m for m in modules if m in LEVEL or (ROOT / m).exists() or (ROOT / f"{m}.py").exists()}


def test_every_module_has_a_layer():
    assert {home(p) for p in SOURCES} - set(ENTRIES) <= set(LEVEL)


@each
def test_nothing_imports_what_is_above_it(path):
    name = home(path)
    if name == "__init__":
        assert not [m for m, loaded, typing in IMPORTS[path] if loaded and not typing and m.startswith("beholder.e")]
        return
    if name == "__main__":
        assert own(path) == {"cli"}
        return
    above = {m for m in own(path) if LEVEL[m] > LEVEL[name]}
    assert not above, f"{name} (layer {LEVEL[name]}) imports {above}"


@each
def test_faces_do_not_import_each_other(path):
    if home(path) in FACES:
        assert own(path) & set(FACES) <= {home(path)}
    elif home(path) not in ENTRIES:
        assert not own(path) & set(FACES)


def test_no_circle_of_imports():
    graph = {}
    for path in SOURCES:
        if home(path) not in ENTRIES:
            graph.setdefault(home(path), set()).update(own(path, typed=False) - {home(path)})
    done = set()

    def walk(name, way):
        assert name not in way, " -> ".join((*way, name))
        if name not in done:
            for other in graph.get(name, ()):
                walk(other, (*way, name))
            done.add(name)

    for name in graph:
        walk(name, ())


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("numba", "kernels/code.py"),
        ("onnxruntime", "models/runtime.py"),
        ("ray", "cluster.py"),
        ("starlette", "serving.py"),
        ("uvicorn", "serving.py"),
        ("typer", "cli"),
    ],
)
def test_library_has_one_home(library, only):
    """only: a file, or a module of the layer table, be it a file or a folder."""
    users = set()
    for path in SOURCES:
        if library in {m.split(".")[0] for m, _, _ in IMPORTS[path]}:
            users.add(home(path) if only in LEVEL else path.relative_to(ROOT).as_posix())
    assert users <= {only}
    if (ROOT / only).exists() or (ROOT / f"{only}.py").exists():
        assert users == {only}


@each
def test_heavy_libraries_are_imported_inside_functions(path):
    place = path.relative_to(ROOT).as_posix()
    allowed = {"numpy"}
    if place == "kernels/code.py":
        allowed |= {"numba"}
    if home(path) == "cli":
        allowed |= {"typer", "rich"}
    if place.startswith(("models/assessors/", *TRAINING)):
        allowed |= {"torch"}
    loaded = {m.split(".")[0] for m, loaded, typing in IMPORTS[path] if loaded and not typing}
    assert not loaded & set(HEAVY) - allowed


def test_nothing_goes_to_the_network_and_nothing_pickles():
    banned = {"requests", "urllib", "http", "socket", "pickle", "httpx", "aiohttp"}
    for path in SOURCES:
        if home(path) not in ("cluster", "serving"):
            # PyTorch refuses a hostile file of weights with pickle's own error, which has to be caught
            allowed = {"pickle"} if path.relative_to(ROOT).as_posix() == "models/backbones.py" else set()
            assert not {m.split(".")[0] for m, _, _ in IMPORTS[path]} & banned - allowed, path.name


def fresh(code):
    """What a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    told = fresh(f"import sys, beholder; print(*[m for m in {HEAVY!r} if m in sys.modules])")
    assert told == []
    told = fresh("import sys, beholder; print(*[m for m in sys.modules if m.startswith('beholder')])")
    assert set(told) == {"beholder", "beholder.version"}


def test_metrics_load_without_pytorch_numba_and_onnxruntime():
    lazy = ("torch", "numba", "onnxruntime", "PIL", "rich", "typer")
    told = fresh(
        "import sys, numpy, beholder as bh; m = bh.metric('ssim'); a = numpy.full((1, 3, 16, 16), .5); "
        f"assert m(a, a)[0] == 1; bh.list_metrics(); print(*[m for m in {lazy!r} if m in sys.modules])"
    )
    assert told == []


def test_scoring_needs_no_pytorch():
    """As in an installation of the small core: importing PyTorch fails, and the model scores all the same."""
    told = fresh(
        "import sys; sys.modules['torch'] = None; import numpy, beholder as bh; "
        "a = numpy.tile(numpy.arange(64, dtype='u1'), (1, 3, 48, 1)); "
        "print(*[0 <= s.value <= 100 for s in bh.metric('beholder').scores(a)], bh.metric('ssim')(a, a)[0])"
    )
    assert told == ["True", "1.0"]


def test_public_names_are_sorted_and_there():
    assert beholder.__all__ == sorted(beholder.__all__)
    assert len(set(beholder.__all__)) == len(beholder.__all__)
    assert dir(beholder) == sorted(beholder.__all__)
    for name in beholder.__all__:
        assert getattr(beholder, name) is not None
    from beholder import errors

    assert sorted(errors.__all__) == errors.__all__
    assert set(errors.__all__) <= set(beholder.__all__)
    tree = TREES[ROOT / "errors.py"]
    assert {n.name for n in tree.body if isinstance(n, ast.ClassDef)} == set(errors.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = beholder.nonsense


def test_typed_names_are_the_lazy_names():
    tree = TREES[ROOT / "__init__.py"]
    typed = set()
    for node in tree.body:
        if isinstance(node, ast.If):
            typed |= {alias.name for child in node.body for alias in child.names}
    assert typed | {"__version__"} == set(beholder.__all__)


@each
def test_module_lists_name_what_is_there(path):
    names = None
    for node in TREES[path].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
    if names is None or path == ROOT / "__init__.py":
        return
    from importlib import import_module

    parts = path.relative_to(ROOT).with_suffix("").parts
    module = import_module(".".join(("beholder", *(p for p in parts if p != "__init__"))))
    assert not [n for n in names if not hasattr(module, n)]


@each
def test_house_rules_in_the_source(path):
    """No assert, no print, no relative import, and a docstring, in every file."""
    tree = TREES[path]
    assert ast.get_docstring(tree), "a module says what it is for"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: assert"
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) != "print", f"line {node.lineno}: print"
