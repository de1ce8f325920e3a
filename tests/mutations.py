"""Mutation test: plants single errors in a copy of the package and counts those that no test detects.

`python tests/mutations.py layernet/layers layernet/losses --sample 60` draws 60 mutants of two folders. They
are written into a temporary copy of the checkout, never into the checkout. A mutant is detected if one of the
test files that concern its module most fails with it and passes without it. Mutants that compute the same as
the original are listed, with the reason, in `equivalent_mutants.txt`; they are not counted.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import copy
import os
import py_compile
import random
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a fork has no threads but its own

with contextlib.suppress(ImportError):
    import numba  # noqa: F401  what tests import is imported once, before the forks
import matplotlib.pyplot  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import sklearn.datasets
import sklearn.utils.estimator_checks  # noqa: F401

ROOT = Path(__file__).parent.parent
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.txt"

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    # comparisons
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    # logic and arithmetic
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
# Functions of two arguments for which their order has no effect, or only an effect that no caller sees.
SYMMETRIC = {
    *("max", "min", "maximum", "minimum", "multiply", "logaddexp", "allclose", "array_equal", "shares_memory")
}
# A test that has used more processor time than this when the time of a mutant ends is in an endless loop.
ENDLESS_SECONDS = 40
STATED_DEFAULTS = "test_a_stated_default_is_that_of_the_signature"
PASSED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class Mutant(NamedTuple):
    """One change of one file."""

    path: str
    scope: str
    line: int
    source: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path} {self.scope}: {self.before} -> {self.after}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file: one operator, condition, constant, order of arguments or statement changed."""
    data = path.read_bytes()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for scope, old, new in changes_in(ast.parse(data), ""):
        start = starts[old.lineno - 1] + old.col_offset
        stop = starts[old.end_lineno - 1] + old.end_col_offset
        text = ast.unparse(ast.fix_missing_locations(new))
        if not isinstance(new, (ast.Constant, ast.Pass)):
            text = f"({text})"
        source = (data[:start] + text.encode() + data[stop:]).decode()
        line, last = starts[old.lineno - 1], starts[old.end_lineno]
        before, after = data[line:last].decode(), (data[line:start] + text.encode() + data[stop:last]).decode()
        before, after = (" ".join(each.split()) for each in (before, after))
        yield Mutant(str(path.relative_to(ROOT)), scope or "module", old.lineno, source, before, after)


def changes_in(node: ast.AST, scope: str) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """(scope, old node, new node) for every change of one node below a node."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or is_without_effect(child):
                continue
            is_scope = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            inner = f"{scope}.{child.name}".lstrip(".") if is_scope else scope
            yield from ((inner, old, new) for old, new in changes_of(child))
            if not isinstance(child, ast.Raise):  # nobody tests each number of a message
                yield from changes_in(child, inner)


def is_without_effect(node: ast.AST) -> bool:
    """Whether a node is a docstring, a message, an import or only for type checkers."""
    if isinstance(node, ast.Expr):
        called = node.value.func if isinstance(node.value, ast.Call) else None
        return isinstance(node.value, ast.Constant) or getattr(called, "id", "") == "warn_user"
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom))


def changes_of(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """The changes of a node itself: (old node, new node)."""
    twin = copy.deepcopy(node)
    match node:
        case ast.Compare() if type(node.ops[0]) in OPERATORS:
            twin.ops[0] = OPERATORS[type(node.ops[0])]()
            yield node, twin
        case ast.BinOp() | ast.BoolOp() if type(node.op) in OPERATORS:
            twin.op = OPERATORS[type(node.op)]()
            yield node, twin
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield node, node.operand
        case ast.Constant(value=bool(value)):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield node, ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield node, ast.Constant(2 * value or 1.0)
        case ast.If() | ast.While() | ast.IfExp():
            yield node.test, ast.UnaryOp(ast.Not(), node.test)
        case ast.Call(args=[first, second, *_]) if not isinstance(second, ast.Starred):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            is_same = isinstance(first, ast.Starred) or ast.dump(first) == ast.dump(second)
            if name not in SYMMETRIC and not is_same:
                twin.args[:2] = second, first
                yield node, twin
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Break() | ast.Continue():
            yield node, ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, ast.Pass()


def test_files_for(path: str, n_files: int) -> list[str]:
    """The module itself, for its doctests, its defaults, and the test files that name most of what it defines.

    A name weighs sqrt(number of times that a test file contains it) / (number of test files that do). A test
    file in the folder that mirrors that of the module, or named after the folder, gets 1 more, and one with the
    module's name 3 more.
    """
    tree = ast.parse((ROOT / path).read_text())
    defined = [node for node in ast.walk(tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    names = {node.name for node in defined if not node.name.startswith("_")}
    files = sorted(file for file in ROOT.glob("tests/**/test_*.py") if "browser" not in file.parts)
    words = {file: Counter(re.findall(r"\w+", file.read_text())) for file in files}
    scores = {}
    for file, there in words.items():
        shared = sum(
            there[name] ** 0.5 / sum(name in each for each in words.values()) for name in names & there.keys()
        )
        folder = Path(path).parent.relative_to("layernet")
        is_near = file.parent.relative_to(ROOT / "tests") == folder or file.stem == f"test_{folder.name}"
        is_its_own = Path(path).stem in file.stem
        scores[file] = shared + is_near + 3 * is_its_own
    best = sorted(filter(scores.get, files), key=scores.get, reverse=True)[:n_files]
    # The two best first, then the small ones; files that are marked slow and tests of kernels take longest.
    is_marked = re.compile(r"^pytestmark = .*mark\.slow", re.MULTILINE).search
    slow = {
        file
        for file in best
        if (file.parent.name == "engine" and "engine" not in Path(path).parts)
        or (is_marked(file.read_text()) and Path(path).stem not in file.stem)
    }
    first = [file for file in best if file not in slow][:2]
    others = sorted(set(best) - set(first), key=lambda file: (file in slow, file.stat().st_size))
    module = path.removesuffix(".py").replace("/", ".")
    docstrings = [] if "__" in module else [f"tests/test_docstrings.py::{STATED_DEFAULTS}[{module}]"]
    return [path, *docstrings, *(str(file.relative_to(ROOT)) for file in (*first, *others))]


class Reporter:
    """pytest plugin that writes each finished test, and the first that failed, to a pipe."""

    def __init__(self, pipe: int):
        self.pipe = pipe

    def pytest_runtest_logreport(self, report) -> None:
        self._write(report)

    def pytest_collectreport(self, report) -> None:
        self._write(report)

    def _write(self, report):
        outcome = "failed" if report.failed else "passed"
        line = f"{time.process_time():.1f} {outcome} {report.nodeid}\n"
        os.write(self.pipe, line.encode())


def run_tests(folder: Path, tests: list[str], seconds: int) -> tuple[str | None, str]:
    """Run tests in a copy of the checkout until one fails.

    A fork of this process runs them, because it has already imported NumPy and everything else that takes long.

    Returns
    -------
    detected_by : str or None
        The test that failed, or how the tests ended. None if all pass, or all that were reached in the time.
    reached : str
        The last test that was run.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.setsid()  # a session of its own ends with all processes that tests have started
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = str(folder)
        options = ["-x", "-q", "-p", "no:cacheprovider"]
        try:
            for test in tests:  # one at a time: a mutant that the first file detects imports no other file
                few = ["-m", "not slow"] if test.endswith("test_checks.py") else []  # scikit-learn has hundreds
                code = pytest.main([*options, *few, test], plugins=[Reporter(write)])
                if code not in PASSED:
                    os.write(write, f"{time.process_time():.1f} failed {test}\n".encode())
                    break
            os.write(write, b"0 end -\n")
        finally:
            os._exit(0)  # nothing of the parent is run or cleaned up in the child
    os.close(write)
    written = b""
    deadline = time.monotonic() + 20 * seconds
    while has_more := select.select([read], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(read, 65536)
        if not part:
            break
        written += part
    os.close(read)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    died_of = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    reports = [line.split(" ", 2) for line in written.decode().splitlines()]
    failed = [test for _, outcome, test in reports if outcome == "failed"]
    if failed:
        return failed[0], failed[0]
    is_complete = bool(reports) and reports[-1][1] == "end"
    if is_complete:
        reports.pop()
    if not reports:
        sys.exit(f"pytest does not start on {tests}.")
    used, _, reached = reports[-1]
    if not has_more:
        return f"(no end after {reached})", reached
    if died_of not in (None, signal.SIGKILL, signal.SIGXCPU):
        return f"(the process dies of signal {died_of} after {reached})", reached
    if died_of == signal.SIGXCPU and seconds - float(used) > ENDLESS_SECONDS:
        return f"(endless loop after {reached})", reached
    return None, "the end" if is_complete else f"{reached}, after {used} s of processor time"


class Laboratory:
    """Temporary copy of the checkout, in which one file at a time is a mutant."""

    def __init__(self, folder: Path, n_files: int, seconds: int):
        self.folder = folder
        self.n_files = n_files
        self.seconds = seconds
        self.sound: set[str] = set()
        skipped = shutil.ignore_patterns(".git", ".venv", "*_cache", ".hypothesis", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT, folder, ignore=skipped)
        # Python recognizes compiled modules by their content: mutants are written within one second.
        checked = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(folder / "layernet", quiet=1, invalidation_mode=checked)

    def run(self, mutant: Mutant) -> tuple[str | None, str]:
        """The test that detects a mutant, or None, and how far the tests came."""
        tests = test_files_for(mutant.path, self.n_files)
        file = self.folder / mutant.path
        original = file.read_text()
        file.write_text(mutant.source)
        try:
            failed, reached = run_tests(self.folder, tests, self.seconds)
        finally:
            file.write_text(original)
        if failed is not None and failed not in self.sound and not failed.startswith("("):
            if run_tests(self.folder, [failed], self.seconds)[0] is not None:
                sys.exit(f"{failed} fails without any mutant: mend it first.")
            self.sound.add(failed)
        return failed, reached


def known_equivalents() -> dict[str, str]:
    """The reasons of the mutants in `equivalent_mutants.txt`, by the mutant."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    entries = [line.partition("  # ") for line in lines if line and not line.startswith("#")]
    return {mutant: reason for mutant, _, reason in entries}


def main() -> None:
    """Draw mutants, run the tests on each and print those that survive, with the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="files or folders of the package")
    parser.add_argument("--sample", type=int, default=60, help="number of mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=32, help="number of test files that are run on a mutant")
    parser.add_argument("--seconds", type=int, default=120, help="processor time for the tests of a mutant")
    parser.add_argument("--only", default="", help="text that the mutant must contain, as it is printed")
    options = parser.parse_args()
    files = [f for path in options.paths for f in ([path] if path.is_file() else sorted(path.rglob("*.py")))]
    equivalents = known_equivalents()
    mutants = [mutant for file in files for mutant in mutants_of(file.resolve()) if options.only in str(mutant)]
    drawn = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    counted = [mutant for mutant in drawn if str(mutant) not in equivalents]
    paths = {str(file.resolve().relative_to(ROOT)) for file in files}
    for entry in equivalents.keys() - {str(mutant) for mutant in mutants}:
        if entry.split(" ", 1)[0] in paths and not options.only:
            print(f"No mutant of today is the entry of {EQUIVALENT.name}: {entry}")
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(Path(folder) / "checkout", options.files, options.seconds)
        for mutant in counted:
            test, reached = laboratory.run(mutant)
            survived += test is None
            outcome = (
                f"SURVIVED {mutant}\n    until {reached}"
                if test is None
                else f"detected {mutant}\n    by {test}"
            )
            print(outcome, flush=True)
    share = survived / max(1, len(counted))
    print(
        f"{survived} of {len(counted)} mutants survived ({share:.1%}). Seed {options.seed} drew {len(drawn)} "
        f"of {len(mutants)} mutants in {len(files)} files; {len(drawn) - len(counted)} of them are equivalent."
    )


if __name__ == "__main__":
    main()
