"""Machine code of kernels: compiled once per machine, kept on disk, and loaded without Numba after that."""

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
# Numba counts who uses an array, to free it in the end. A kernel's arrays are nobody's to free.
_COUNTING = re.compile(r"(define [^\n]*@NRT_(?:incref|decref)\([^\n]*\{)\n.*?\n\}", re.DOTALL)
_told = False


def machine_code(formula: Callable, name: str, dtype: np.dtype, sources: frozenset[str]) -> int:
    """Where the machine code of a function lies: loaded from the cache, or compiled for it.

    Parameters
    ----------
    formula : callable
        Of (batch, operands, sizes).
    name : str
        Unique.
    dtype : float32 or float64
        The type of the operands.
    sources : frozenset of str
        The files of all functions that it may be made of.

    Returns
    -------
    int
        An address, valid as long as the process lives.
    """
    with _lock:  # neither Numba nor LLVM's linker is made for two threads at once
        file = _cache_file(name, dtype, sources)
        symbol, code = _cached(file) or _compiled(formula, dtype, file)
        return _loader().load(symbol, code)


class _Loader:
    """LLVM's linker for machine code in memory."""

    def __init__(self):
        import llvmlite.binding as llvm

        self.llvm = llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.processor = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
        self.machine = llvm.Target.from_default_triple().create_target_machine(
            *self.processor, opt=3, jit=True, codemodel="jitdefault"
        )
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self.machine)

    def translate(self, text: str, symbol: str) -> bytes:
        """Machine code from LLVM's language, of which only one function is to be seen from outside."""
        module = self.llvm.parse_assembly(_COUNTING.sub(r"\1\n  ret void\n}", text))
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
            if function.is_declaration and (of_numba or not known):  # LLVM would end the process at loading
                raise NotImplementedError(
                    f"{symbol} calls {function.name}, which only Numba's own runtime has. A kernel makes no "
                    "arrays: write into its operands, entry by entry."
                )
        return self.machine.emit_object(module)

    def load(self, symbol: str, code: bytes) -> int:
        """Put machine code where the processor can run it."""
        self.engine.add_object_file(self.llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        return self.engine.get_function_address(symbol)


@functools.cache
def _loader() -> _Loader:
    return _Loader()


def _compiled(formula, dtype, file):
    """The symbol and the machine code of a function, compiled and put into the cache."""
    global _told
    if not _told:
        _told = True
        print(
            "layernet compiles its kernels for this machine: some seconds, once.", file=sys.stderr, flush=True
        )
    from layernet.engine.compiler import compile_kernel

    symbol, text = compile_kernel(formula, dtype)
    code = _loader().translate(text, symbol)
    if file is not None:
        _keep(file, symbol.encode() + b"\n" + code)
    return symbol, code


def _keep(file, content):
    """Write a file with a digest in front, beside it and moved: others see all of it or nothing."""
    beside = None
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as beside:
            beside.write(hashlib.sha256(content).digest() + content)
        os.replace(beside.name, file)
    except OSError:  # a full disk, for instance: the next process compiles again
        if beside is not None:
            Path(beside.name).unlink(missing_ok=True)


def _cached(file):
    """The same from the cache, or None."""
    try:
        stored = b"" if file is None else file.read_bytes()
    except OSError:
        return None
    digest, content = stored[:32], stored[32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    symbol, _, code = content.partition(b"\n")
    return symbol.decode(), code


def _cache_file(name, dtype, sources):
    """Where machine code is kept, or None: what is typed into a notebook may change under the same name."""
    folder, stamp = cache_folder(), stamp_of(sources)
    if folder is None or stamp is None:
        return None
    key = hashlib.sha256(repr((stamp, _loader().processor)).encode()).hexdigest()
    return folder / f"{name}-{dtype.name}-{key[:24]}.o"


@functools.cache
def cache_folder() -> Path | None:
    """The first folder that can be written to: NUMBA_CACHE_DIR, the user's cache, or a temporary one.

    Returns
    -------
    Path or None
        None if there is no such folder: kernels are compiled anew in every process then.
    """
    for parent in (os.environ.get("NUMBA_CACHE_DIR"), _users_cache(), tempfile.gettempdir()):
        if not parent:
            continue
        user = f"-{os.getuid()}" if parent == tempfile.gettempdir() and hasattr(os, "getuid") else ""
        folder = Path(parent) / f"layernet{user}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        if not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid():  # never run a stranger's code
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
def stamp_of(sources: frozenset[str]) -> str | None:
    """A fingerprint of all that machine code depends on but the processor; None if a source is no file."""
    import importlib.metadata

    digest = hashlib.sha256()
    for package in ("numba", "llvmlite"):
        digest.update(importlib.metadata.version(package).encode())
    for source in sorted({*sources, *_OWN_SOURCES}):
        if digest_of(source) is None:
            return None
        digest.update(digest_of(source))
    return digest.hexdigest()


@functools.cache
def digest_of(source: str) -> bytes | None:
    """A fingerprint of a file as it was when this was first asked, which kernels do when they are imported."""
    try:
        return hashlib.sha256(Path(source).read_bytes()).digest()
    except OSError:
        return None


_OWN_SOURCES = tuple(str(Path(__file__).parent / name) for name in ("compiler.py", "machine.py", "words.py"))
for _source in _OWN_SOURCES:
    digest_of(_source)
