"""Machine code of the kernels: compiled once, kept on disk, and called without Numba ever after.

Numba takes half a second to load; the machine code that it makes takes a millisecond. So what it makes of a kernel is
reduced to the function itself, which by Numba's convention is ``int f(result*, error**, arguments...)`` and needs
nothing from outside, and stored as an object file. Where anything is not as expected, the code is compiled anew.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite  # type: ignore[import-untyped,unused-ignore]
from llvmlite import binding  # type: ignore[import-untyped,unused-ignore]

from beholder.progress import announce
from beholder.version import __version__

llvm: Any = binding

ENTRY = "beholder_kernel"
"""The name of the function in an object file."""
OUTSIDE = frozenset(
    {"memcpy", "memmove", "memset", "cbrt", "cbrtf", "cos", "cosf", "exp", "expf", "log", "logf", "log2", "log2f"}
    | {"log10", "log10f", "pow", "powf", "sin", "sinf", "atan2", "atan2f", "hypot", "hypotf"}
)
"""What a kernel may call: LLVM puts the first in for loops; every process has them all."""
STUB = "define linkonce_odr void @NRT_MemInfo_call_dtor(ptr %0) {\n ret void\n}\n"
"""Numba's destructor of arrays; here no array owns its memory."""
_PLACE, _NUMBER = ctypes.c_void_p, ctypes.c_ssize_t
ARGUMENTS = [_PLACE, _PLACE, _NUMBER, _NUMBER, _NUMBER, _NUMBER, _PLACE, _PLACE, _PLACE, _PLACE, _NUMBER, _NUMBER]
"""x, y, rows, columns, mode, step, marks, line, maps, out, first, last: as in `code`."""

Kernel = Callable[..., None]
compiled: list[str] = []
"""Names of the kernels that this process had to compile."""
_kernels: dict[str, Kernel] = {}
_kept: list[Any] = []  # what owns the machine code: it lives as long as the process
_lock = threading.Lock()


def place(array: Any) -> int | None:
    """Where a NumPy array's values begin, None for no array."""
    return None if array is None else array.__array_interface__["data"][0]


def kernel(name: str) -> Kernel:
    """The kernel of that name, called with `ARGUMENTS`, by any thread; it releases the interpreter's lock."""
    found = _kernels.get(name)
    if found is None:
        with _lock:
            found = _kernels.get(name)
            if found is None:
                found = _kernels[name] = _load(name)
    return found


def _load(name: str) -> Kernel:
    path = _stored(name)
    code = _read(path)
    if code is None:
        if not compiled:
            announce("compiling kernels for this processor, which takes some seconds the first time")
        compiled.append(name)
        try:
            code = _reduce(name)
        except (RuntimeError, ValueError):  # another Numba makes other code than is known here: keep to its interface
            return _keep(name)
        _write(path, code)
    return _link(code)


def cache_root() -> Path:
    """The folder for compiled code: NUMBA_CACHE_DIR where it is set, else the system's."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "beholder" / "kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "beholder" / "kernels"


def _numba_version() -> bytes:
    """What tells Numba's version, without loading Numba, nor importlib.metadata, which takes 12 ms."""
    found = find_spec("numba")
    folder = Path(found.origin).parent if found is not None and found.origin else None
    try:
        return (folder / "_version.py").read_bytes() if folder else b""
    except OSError:
        from importlib.metadata import version

        return version("numba").encode()


@functools.cache
def _key() -> str:
    """What the code depends on: the source, the compiler, the processor."""
    here = Path(__file__).parent
    sources = [path.read_bytes() for path in sorted(here.glob("*.py")) if path.name != "__init__.py"]
    compiler = _numba_version(), llvmlite.__version__, llvm.llvm_version_info
    processor = llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return hashlib.sha256(repr((sources, compiler, processor)).encode()).hexdigest()


def _stored(name: str) -> Path | None:
    """The file for a kernel; None where there is no place for one."""
    try:
        return cache_root() / f"beholder-{__version__}-{_key()[:16]}" / f"{name}.kernel"
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None


def _read(path: Path | None) -> bytes | None:
    """The object file, if it is whole."""
    try:
        data = path.read_bytes() if path else b""
    except OSError:
        return None
    code = data[32:]
    return code if code and hashlib.sha256(code).digest() == data[:32] else None


def _write(path: Path | None, code: bytes) -> None:
    """Keep an object file; where that cannot be, the next process compiles again."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                file.write(hashlib.sha256(code).digest() + code)
                file.close()
                Path(file.name).replace(path)  # at once for all who look
            except OSError:
                Path(file.name).unlink(missing_ok=True)
    except OSError:
        return


@functools.cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="default",
        jit=True,
    )


def _reduce(name: str) -> bytes:
    """The kernel as an object file with one function that needs nothing from outside; RuntimeError if it does."""
    from beholder.kernels.code import compile_to_ir

    text = compile_to_ir(name)
    target = _target()
    module = llvm.parse_assembly(text)
    module.link_in(llvm.parse_assembly(STUB))
    entries = [f for f in module.functions if not f.is_declaration and f.linkage == llvm.Linkage.external]
    if len(entries) != 1 or len(list(entries[0].arguments)) != len(ARGUMENTS) + 2:
        raise RuntimeError(f"expected one function of {len(ARGUMENTS) + 2} arguments in the code of {name}")
    entries[0].name = ENTRY
    for function in module.functions:
        if not function.is_declaration and function.name != ENTRY:
            function.linkage = llvm.Linkage.internal
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(0)))
    needed = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    needed |= {v.name for v in module.global_variables if v.is_declaration}
    if needed - OUTSIDE:
        raise RuntimeError(f"the code of {name} needs {sorted(needed - OUTSIDE)}")
    return bytes(target.emit_object(module))


def _link(code: bytes) -> Kernel:
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _kept.append(engine)
    native = ctypes.CFUNCTYPE(ctypes.c_int32, _PLACE, _PLACE, *ARGUMENTS)(engine.get_function_address(ENTRY))

    def call(*arguments: int) -> None:
        returned = (
            ctypes.c_void_p * 2
        )()  # a result (none) and an error (a kernel has none), as Numba's functions have
        place = ctypes.addressof(returned)
        native(place, place + 8, *arguments)

    return call


def _keep(name: str) -> Kernel:
    """The kernel by Numba's own interface for C; it cannot be stored."""
    from beholder.kernels.code import compile_for_c

    function = compile_for_c(name)
    _kept.append(function)
    return ctypes.CFUNCTYPE(None, *ARGUMENTS)(function.address)
