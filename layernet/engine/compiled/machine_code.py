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
if hasattr(os, "register_at_fork"):  # no child begins with a lock that a thread of its parent holds
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
# Numba counts who uses an array, to free it in the end. A kernel's arrays are nobody's to free.
_COUNTING = re.compile(r"(define [^\n]*@NRT_(?:incref|decref)\([^\n]*\{)\n.*?\n\}", re.DOTALL)
_told = False


def machine_code(
    formula: Callable, name: str, dtype: np.dtype, fingerprint: str | None, is_checked: bool = False
) -> int:
    """Where the machine code of a function lies: loaded from the cache, or compiled for it.

    Parameters
    ----------
    formula : callable
        Of (batch, operands, sizes).
    name : str
        Of the function, for people who look into the cache.
    dtype : float32 or float64
        The type of the operands.
    fingerprint : str or None
        Of the function; None for one that is not kept, because it depends on something that has no fingerprint.
    is_checked : bool, default=False
        Whether every index is checked; as in `compile_kernel`.

    Returns
    -------
    int
        An address, valid as long as the process lives.
    """
    with _lock:  # neither Numba nor LLVM's linker is made for two threads at once
        file = _cache_file(f"{name}-checked" if is_checked else name, dtype, fingerprint)
        symbol, code = _cached(file) or _compiled(formula, dtype, file, is_checked)
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


def is_any_loaded() -> bool:
    """Whether this process has loaded a kernel: the first one takes some 30 milliseconds, any other two."""
    return _loader.cache_info().currsize > 0


def _compiled(formula, dtype, file, is_checked):
    """The symbol and the machine code of a function, compiled and put into the cache."""
    global _told
    if not _told:
        _told = True
        print(
            "layernet compiles its kernels for this machine: some seconds, once.", file=sys.stderr, flush=True
        )
    from layernet.engine.compiled.compiler import compile_kernel

    symbol, text = compile_kernel(formula, dtype, is_checked)
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
            beside.write(_digest_of(file, content) + content)
        os.replace(beside.name, file)
    except OSError:  # a full disk, for instance: the next process compiles again
        if beside is not None:
            Path(beside.name).unlink(missing_ok=True)


def _cached(file):
    """The same from the cache, or None if it is not there, not whole, or might be somebody else's."""
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            if not is_ours_alone(os.fstat(opened.fileno())):
                return None
            stored = opened.read()
    except OSError:
        return None
    digest, content = stored[:32], stored[32:]
    if digest != _digest_of(file, content):
        return None
    symbol, _, code = content.partition(b"\n")
    return symbol.decode(), code


def _digest_of(file, content):
    """Of a file's content and its name: another kernel's code would read other operands."""
    return hashlib.sha256(file.name.encode() + b"\n" + content).digest()


def is_ours_alone(status: os.stat_result) -> bool:
    """Whether a file or a folder is this user's, and nobody else may write to it.

    Machine code from anywhere else might be a stranger's, and would be run with all rights of this process.
    Windows keeps strangers out of the folders of a user; there it is always true.
    """
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _cache_file(name, dtype, fingerprint):
    """Where machine code is kept, or None."""
    folder, stamp = cache_folder(), stamp_of_compiler()
    if folder is None or stamp is None or fingerprint is None:
        return None
    key = hashlib.sha256(repr((stamp, fingerprint, _loader().processor)).encode()).hexdigest()
    return folder / f"{re.sub('[^A-Za-z0-9_.-]', '', name)}-{dtype.name}-{key[:24]}.o"


@functools.cache
def cache_folder() -> Path | None:
    """The first folder that can be written to: NUMBA_CACHE_DIR, the user's cache, or a temporary one.

    A folder of another user, or one that others may write to, is passed over.

    Returns
    -------
    Path or None
        None if there is no such folder: kernels are compiled anew in every process then.
    """
    for parent in (os.environ.get("NUMBA_CACHE_DIR"), _users_cache(), tempfile.gettempdir()):
        if not parent:
            continue
        user = f"-{os.geteuid()}" if parent == tempfile.gettempdir() and hasattr(os, "geteuid") else ""
        folder = Path(parent) / f"layernet{user}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_a_strangers_link = hasattr(os, "geteuid") and folder.lstat().st_uid != os.geteuid()
            if is_a_strangers_link or not is_ours_alone(folder.stat()):
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
def stamp_of_compiler() -> str | None:
    """A fingerprint of what makes machine code of kernels; None if a source is no file."""
    import importlib.metadata

    digest = hashlib.sha256()
    for package in ("numba", "llvmlite"):
        digest.update(importlib.metadata.version(package).encode())
    for source in _OWN_SOURCES:
        if source is None:
            return None
        digest.update(source)
    return digest.hexdigest()


def _digest_of_source(name):
    """A fingerprint of one of the engine's files."""
    try:
        return hashlib.sha256((Path(__file__).parent / name).read_bytes()).digest()
    except OSError:
        return None


# As they are when this process imports them, not when it compiles: the package may be updated meanwhile.
_OWN_SOURCES = tuple(map(_digest_of_source, ("compiler.py", "machine.py", "intrinsics.py")))
