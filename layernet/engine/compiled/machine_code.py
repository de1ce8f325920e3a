"""Machine code of kernels: compiled once per machine, stored on disk, and then loaded without Numba."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child process must not inherit a lock that a thread of its parent holds
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
# Functions of Numba that count the references to an array, to free it. A kernel's operands are never freed.
_REFERENCE_COUNTING = re.compile(r"(define [^\n]*@NRT_(?:incref|decref)\([^\n]*\{)\n.*?\n\}", re.DOTALL)
_has_announced = False


def machine_code(
    formula: Callable[..., None], name: str, dtype: np.dtype, fingerprint: str | None, is_checked: bool = False
) -> int:
    """Return the address of a function's machine code, loaded from the cache or compiled.

    Parameters
    ----------
    formula : callable
        A kernel: a function of (control, operands, sizes).
    name : str
        Of the function, a part of the file's name.
    dtype : float32 or float64
        The type of the operands.
    fingerprint : str or None
        Of the function. Without one, the machine code is not stored.
    is_checked : bool, default=False
        Whether every index is checked; as in `compile_kernel`.

    Returns
    -------
    int
        An address, valid as long as the process lives.
    """
    with _lock:  # neither Numba nor LLVM's linker is thread-safe
        file = _cache_file(f"{name}-checked" if is_checked else name, dtype, fingerprint)
        symbol, code = _cached(file) or _compiled(formula, name, dtype, file, is_checked)
        return _loader().load(symbol, code)


class _Loader:
    """LLVM: translates its intermediate language to machine code, and loads that into memory."""

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        self.llvm = llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.processor = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
        self.machine = llvm.Target.from_default_triple().create_target_machine(
            *self.processor, opt=3, jit=True, codemodel="jitdefault"
        )
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self.machine)

    def lower(self, text: str, symbol: str, name: str) -> bytes:
        """Return machine code of a kernel in LLVM's intermediate language; only its symbol is exported."""
        module = self.llvm.parse_assembly(_REFERENCE_COUNTING.sub(r"\1\n  ret void\n}", text))
        for function in module.functions:
            if not function.is_declaration and function.name != symbol:
                function.linkage = "internal"
        passes = self.llvm.create_new_module_pass_manager()
        passes.add_global_dead_code_eliminate_pass()
        builder = self.llvm.create_pass_builder(self.machine, self.llvm.create_pipeline_tuning_options())
        passes.run(module, builder)
        for function in module.functions:
            known = function.name.startswith("llvm.") or self.llvm.address_of_symbol(function.name)
            of_numba = function.name.startswith(("NRT_", "numba_", "Py"))
            if function.is_declaration and (of_numba or not known):  # to load it would end the process
                raise NotImplementedError(
                    f"<kernel {name}> calls {function.name}, which only Numba's own runtime has. A kernel "
                    "makes no arrays: write into its operands, entry by entry. It also assigns no slices and "
                    "prints nothing."
                )
        return self.machine.emit_object(module)

    def load(self, symbol: str, code: bytes) -> int:
        """Load machine code into executable memory; return the address of its function."""
        self.engine.add_object_file(self.llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        return self.engine.get_function_address(symbol)


@functools.cache
def _loader() -> _Loader:
    return _Loader()


def is_any_loaded() -> bool:
    """Return whether this process has loaded a kernel. The first takes 30 milliseconds, each other two."""
    return _loader.cache_info().currsize > 0


def _compiled(
    formula: Callable[..., None], name: str, dtype: np.dtype, file: Path | None, is_checked: bool
) -> tuple[str, bytes]:
    """Compile a function; store and return its symbol and its machine code."""
    global _has_announced
    if not _has_announced:
        _has_announced = True
        print(
            "layernet compiles its kernels for this machine: some seconds, once.", file=sys.stderr, flush=True
        )
    from layernet.engine.compiled.compiler import compile_kernel

    symbol, text = compile_kernel(formula, name, dtype, is_checked)
    code = _loader().lower(text, symbol, name)
    if file is not None:
        _store(file, symbol.encode() + b"\n" + code)
    return symbol, code


def _store(file: Path, content: bytes) -> None:
    """Write a file with a digest in front. It is moved into place, so no process reads a part of it."""
    beside = None
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as beside:
            beside.write(_digest_of(file, content) + content)
        os.replace(beside.name, file)
    except OSError:  # for instance, a full disk: the next process compiles again
        if beside is not None:
            Path(beside.name).unlink(missing_ok=True)


def _cached(file: Path | None) -> tuple[str, bytes] | None:
    """Return the same from the cache; None if the file is missing, damaged, or writable for others."""
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            if not is_private_to_user(os.fstat(opened.fileno())):
                return None
            stored = opened.read()
    except OSError:
        return None
    digest, content = stored[:32], stored[32:]
    if digest != _digest_of(file, content):
        return None
    symbol, _, code = content.partition(b"\n")
    return symbol.decode(), code


def _digest_of(file: Path, content: bytes) -> bytes:
    """Return a digest of a file's content and name: under another name it would read other operands."""
    return hashlib.sha256(file.name.encode() + b"\n" + content).digest()


def is_private_to_user(status: os.stat_result) -> bool:
    """Return whether a file or a folder belongs to this user, and no other user may write to it.

    Machine code runs with all rights of this process, so code that another user may have written is not loaded.
    Windows protects a user's folders itself; there the result is always true.
    """
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _cache_file(name: str, dtype: np.dtype, fingerprint: str | None) -> Path | None:
    """Return the file of some machine code, or None if it is not stored."""
    folder, stamp = cache_folder(), compiler_digest()
    if folder is None or stamp is None or fingerprint is None:
        return None
    key = hashlib.sha256(repr((stamp, fingerprint, _loader().processor)).encode()).hexdigest()
    return folder / f"{re.sub('[^A-Za-z0-9_.-]', '', name)}-{dtype.name}-{key[:24]}.o"


@functools.cache
def cache_folder() -> Path | None:
    """Return the first folder that can be written to: NUMBA_CACHE_DIR, the user's cache, or a temporary one.

    A folder that belongs to another user, or that others may write to, is skipped.

    Returns
    -------
    Path or None
        None if there is no such folder. Then every process compiles its kernels anew.
    """
    for parent in (os.environ.get("NUMBA_CACHE_DIR"), _users_cache(), tempfile.gettempdir()):
        if not parent:
            continue
        user = f"-{os.geteuid()}" if parent == tempfile.gettempdir() and hasattr(os, "geteuid") else ""
        folder = Path(parent) / f"layernet{user}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_foreign_link = hasattr(os, "geteuid") and folder.lstat().st_uid != os.geteuid()
            if is_foreign_link or not is_private_to_user(folder.stat()):
                continue
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _users_cache() -> Any:
    if os.name == "nt":
        return os.environ.get("LOCALAPPDATA")
    try:
        return os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # no home
        return None


@functools.cache
def compiler_digest() -> str | None:
    """Return a digest of the compiler: Numba, LLVM and our own files; None if one of these is no file."""
    import importlib.metadata

    digest = hashlib.sha256()
    for package in ("numba", "llvmlite"):
        digest.update(importlib.metadata.version(package).encode())
    for source in _OWN_SOURCES:
        if source is None:
            return None
        digest.update(source)
    return digest.hexdigest()


def _digest_of_source(name: str) -> bytes | None:
    """Return the digest of one of our files."""
    try:
        return hashlib.sha256((Path(__file__).parent / name).read_bytes()).digest()
    except OSError:
        return None


# The digests at the time of import: the package may be updated before this process compiles.
_OWN_SOURCES = tuple(map(_digest_of_source, ("compiler.py", "machine.py", "intrinsics.py")))
