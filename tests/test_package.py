"""The package as a whole: what is imported when, what is exported, and which way imports point."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import layernet

ROOT = Path(layernet.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# Each may import itself, what stands before it, and nothing else of the package.
ORDER = [
    "optional_dependencies",
    "interrupts",
    "user_warnings",
    "hints",
    "representation",
    "registry",
    "validation",
    "sparse",
    "initializers",
    "display",
    "sampling",
    "array_views",
    "gradient_names",
    "parameters",
    "owner",
    "network_methods",
    "guards",
    "layer",
    "layers",
    "containers",
    "losses",
    "schedules",
    "optimizers",
    "engine",
    "training",
    "checking",
    "graph",
    "monitoring",
    "estimators",
    "exercises",
    "report",
    "__main__",
]

# A network's methods `fit` and `compile_for_inference` import what is above the layer when they are called.
DOORS = {
    ("network_methods.py", "layernet.training.fitting"),
    ("network_methods.py", "layernet.engine.inference"),
}

# What looks at networks and trainings; nothing that computes with them imports it.
OBSERVERS = ("checking", "graph", "monitoring", "exercises", "report")


def imports_of(path):
    """(module, whether inside a function) of every import of a file but those for type checkers alone."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for_types = {id(inner) for node in tree.body if is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue  # nothing is imported when the program runs
        if isinstance(node, ast.ImportFrom):
            yield node.module, id(node) not in top
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in top


def is_for_types(node):
    """Whether a statement is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def place(module):
    """Where a module stands in the order."""
    return ORDER.index(module.split(".")[1])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    relative = path.relative_to(ROOT)
    if relative == Path("__init__.py"):
        return
    here = place("layernet." + ".".join(relative.with_suffix("").parts))
    for module, deferred in imports_of(path):
        if not module.startswith("layernet."):
            continue
        is_door = (str(relative), module) in DOORS and deferred
        assert place(module) <= here or is_door, f"{relative} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_estimators_their_exercises_and_the_demonstration_import_scikit_learn(path):
    relative = path.relative_to(ROOT)
    if relative.parts[0] in ("estimators", "__main__.py") or relative == Path("exercises/notebook_02.py"):
        return
    assert not any(module.split(".")[0] == "sklearn" for module, _ in imports_of(path))


def test_only_observers_import_observers():
    for path in MODULES:
        relative = path.relative_to(ROOT)
        if relative.parts[0].removesuffix(".py") in (*OBSERVERS, "__main__", "__init__"):
            continue
        for module, _ in imports_of(path):
            assert module.split(".")[1:2] not in [[name] for name in OBSERVERS], f"{relative} imports {module}"


def test_gradients_laws_and_graphs_need_no_training():
    for path in [*(ROOT / "checking").glob("*.py"), *(ROOT / "graph").glob("*.py")]:
        if path.name != "kernels.py":  # compares trainings by kernels with trainings by formulas
            assert not any(module.startswith("layernet.training") for module, _ in imports_of(path)), path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_counts_stack_frames(path):
    if path.name == "user_warnings.py":
        return  # finds the user's frame by its package, for all others
    assert not re.search(r"stacklevel|_getframe|currentframe|inspect\.stack|warnings\.warn\b", path.read_text())


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_can_be_imported(path):
    if path.name == "compiler.py":
        pytest.importorskip("numba", reason="Numba, which alone needs this module, is not installed")
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    importlib.import_module(".".join(parts))


def test_importing_the_package_imports_nothing_heavy():
    heavy = "sklearn scipy matplotlib tqdm pandas numba llvmlite"
    code = "import sys, layernet; print(*[m for m in {!r}.split() if m in sys.modules])"
    assert run_python(code.format(heavy)).split() == []


def test_training_a_network_imports_neither_scikit_learn_nor_matplotlib():
    code = """
import sys
import numpy as np
from layernet import Dense, ReLU, Sequential
net = Sequential([Dense(4), ReLU(), Dense(1)])
net.fit(np.zeros((8, 2)), np.zeros(8), loss="mean_squared_error", epochs=1, engine="formulas")
print(*[m for m in ("sklearn", "scipy", "matplotlib", "tqdm", "numba") if m in sys.modules])
"""
    assert run_python(code).split() == []


def test_every_public_name_is_there_and_documented():
    assert len(set(layernet.__all__)) == len(layernet.__all__)
    for name in layernet.__all__:
        value = getattr(layernet, name)
        assert name in dir(layernet)
        assert inspect.getdoc(value), f"{name} has no docstring"
        for method, function in inspect.getmembers(value, inspect.isfunction):
            if not method.startswith("_") and function.__module__.startswith("layernet"):
                assert inspect.getdoc(getattr(value, method)), f"{name}.{method} has no docstring"


def test_subpackages_export_what_they_say():
    for info in pkgutil.iter_modules([str(ROOT)]):
        if info.ispkg:
            package = getattr(layernet, info.name)
            for name in getattr(package, "__all__", []):
                assert hasattr(package, name)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"layernet has no 'Densee'.*Dense, "):
        layernet.Densee


def test_type_checkers_see_the_names_of_the_package():
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    seen, modules = set(), set()
    for node in stub.body:
        if isinstance(node, ast.AnnAssign):
            continue  # the version
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            if node.module == "layernet":
                modules.add(alias.asname)
            elif alias.name == "*":
                seen |= set(importlib.import_module(node.module).__all__)
            else:
                assert alias.asname == alias.name, "only names with `as` are seen from outside of a stub"
                assert getattr(layernet, alias.name) is getattr(
                    importlib.import_module(node.module), alias.name
                )
                seen.add(alias.name)
    assert seen == set(layernet.__all__)
    assert modules == set(layernet._SUBMODULES)
    assert (ROOT / "py.typed").exists()


@pytest.mark.slow
def test_a_star_import_gives_every_public_name():
    code = "from layernet import *; import layernet as ln; print(*set(ln.__all__) - globals().keys())"
    assert run_python(code).split() == []


def test_a_layer_is_imported_without_training():
    code = "import sys, layernet; layernet.Dense; print('layernet.training' in sys.modules)"
    assert run_python(code).split() == ["False"]


def test_no_module_is_long():
    for path in MODULES:
        lines = len(path.read_text().splitlines())
        assert lines <= 450, f"{path.relative_to(ROOT)} has {lines} lines"


# First words that do not name the module: pronouns, and the beginnings of riddles and questions.
NO_SUBJECT = {
    *("it", "its", "this", "that", "these", "those", "they", "there", "here", "we", "you", "your"),
    *("what", "which", "who", "where", "when", "why", "how"),
    *("is", "are", "does", "do", "can"),
}


def objection_to_opening(docstring):
    """What is wrong with a docstring's first line, or None."""
    if not docstring:
        return "there is no docstring"
    first, *rest = docstring.splitlines()
    if not first.endswith("."):
        return "the first line is no sentence with a full stop at its end"
    if rest and rest[0]:
        return "no empty line follows the first line"
    words = re.findall(r"[\w'/-]+", first)
    if words[0].lower() in NO_SUBJECT:
        return f"the first line begins with {words[0]!r}; say what the module is"
    if not (words[0][0].isupper() or first.startswith("`")):
        return "the first line begins with a small letter"
    if len(words) < 3 or max(len(sentence.split()) for sentence in re.split(r"[.;:] ", first)) > 25:
        return "the first line has fewer than 3 words, or more than 25 in a sentence"
    return None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_a_sentence(path):
    assert objection_to_opening(ast.get_docstring(ast.parse(path.read_text()))) is None


@pytest.mark.parametrize(
    ("docstring", "objection"),
    [
        (None, "no docstring"),
        ("", "no docstring"),
        ("Layers that add noise", "full stop"),
        ("Layers that add noise:\n\nDropout and GaussianNoise.", "full stop"),
        ("Layers that add noise in training only, so that\ninference has none.", "full stop"),
        ("Layers that add noise.\nDropout is one.", "empty line"),
        ("Is the gradient right?", "full stop"),
        ("It adds noise.", "begins with 'It'"),
        ("This module adds noise.", "begins with 'This'"),
        ("What layers share: noise.", "begins with 'What'"),
        ("How wrong a network is.", "begins with 'How'"),
        ("layers that add noise.", "small letter"),
        ("Noise.", "fewer than 3 words"),
        ("Layers that " + "add noise and " * 9 + "nothing else.", "more than 25"),
        ("Layers that add noise.", None),
        ("`Dropout` and its relatives.\n\nWhat follows is free.", None),
    ],
)
def test_openings_that_are_none_are_found(docstring, objection):
    found = objection_to_opening(docstring)
    assert found is objection or objection in found


README = (ROOT.parent / "README.md").read_text() if (ROOT.parent / "README.md").exists() else ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "docs/engine.md", "docs/learning.md", "docs/tables.md"]
)
def test_the_code_in_the_documents_runs(document):
    if document == "docs/engine.md":
        pytest.importorskip("numba", reason="kernels need Numba, which is not installed")
    text = (ROOT.parent / document).read_text()
    blocks = re.findall(r"^ *```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    namespace = {"__name__": "document"}
    for block in blocks:
        exec(inspect.cleandoc("\n" + block), namespace)


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/design.md",
        "docs/engine.md",
        "docs/learning.md",
        "docs/scikit-learn.md",
        "docs/tables.md",
    ],
)
def test_links_in_the_documents_lead_somewhere(document):
    folder = (ROOT.parent / document).parent
    for target in re.findall(r'(?:\]\(|src(?:set)?=")([^)#"]+)', (ROOT.parent / document).read_text()):
        assert (folder / target).exists(), target


def test_the_citation_names_the_version_and_the_license():
    citation = (ROOT.parent / "CITATION.cff").read_text()
    assert f"\nversion: {layernet.__version__}\n" in citation
    (license_name,) = re.findall(r"^license = (.*)$", (ROOT.parent / "setup.cfg").read_text(), re.MULTILINE)
    assert f"\nlicense: {license_name}\n" in citation


def test_the_readme_has_two_commands_and_finds_every_layer():
    commands = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert [len(command.strip().splitlines()) for command in commands] == [1, 1]
    table = README[README.index("## What's where") :]
    for name in layernet.layers.__all__:
        if name == "Activation":
            continue
        path = Path(inspect.getfile(getattr(layernet, name))).relative_to(ROOT.parent)
        assert f"]({path})" in table, f"{name} in {path} is not two clicks from the README"
