"""The notebooks: they run, and what is saved in them is what a reader should see."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("[0-9]*.ipynb"))
SOLUTIONS = [name for name in NOTEBOOKS if Path(name).parent.name == "solutions"]
PATHS = re.compile(r"/(home|root|tmp|work|Users|opt)\b|\b[A-Z]:\\")  # of the machine they were saved on
VERDICT = re.compile(r"^Exercise (\S+), .*: (passed|not yet)$", re.MULTILINE)

# In a process of its own: Jupyter leaves sockets to the garbage collector, which is none of our warnings. The
# kernel is this very interpreter, whatever is registered under the name python3.
EXECUTE = """
import sys
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

path = Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
for cell in notebook.cells:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
manager = AsyncKernelManager()
manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
nbformat.write(notebook, path)
"""


def saved(name: str):
    return nbformat.read(FOLDER / name, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook) -> list:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def verdicts(notebook) -> dict[str, str]:
    """What `check` said, by exercise."""
    texts = [output.text for output in outputs(notebook) if output.output_type == "stream"]
    return dict(VERDICT.findall("".join(texts)))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_and_says_what_is_saved(name, tmp_path):
    copy = tmp_path / "notebooks"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    command = [sys.executable, "-c", EXECUTE, str(copy / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr  # an error in a cell is there, with the cell

    notebook = nbformat.read(copy / name, as_version=4)
    assert verdicts(notebook) == verdicts(saved(name))
    for cell, before in zip(code_cells(notebook), code_cells(saved(name)), strict=True):
        # The first start of Matplotlib on a machine may say that it collects the fonts.
        shown = [output for output in cell.outputs if "font cache" not in output.get("text", "")]
        kinds = {(output.output_type, output.get("name")) for output in shown}
        assert kinds == {(output.output_type, output.get("name")) for output in before.outputs}, cell.source


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_saved_as_executed_from_top_to_bottom(name):
    cells = code_cells(saved(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for output in outputs(saved(name)) if output.output_type == "error"]
    assert not [output for output in outputs(saved(name)) if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_saved_small_clean_and_for_everyone(name):
    path = FOLDER / name
    assert path.stat().st_size < 1.5e6
    notebook = saved(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.metadata for cell in notebook.cells)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            # An image is letters by chance; everything else is text that people read.
            shown = {kind: data for kind, data in output.get("data", {}).items() if kind != "image/png"}
            assert not PATHS.search(json.dumps([output.get("text"), list(shown.values())])), cell.source
        assert not PATHS.search(cell.source)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_solutions_pass_and_blanks_do_not(name):
    solved, blank = verdicts(saved(name)), verdicts(saved(Path(name).name))
    assert solved
    assert blank.keys() == solved.keys()
    assert set(solved.values()) == {"passed"}
    assert set(blank.values()) == {"not yet"}


def test_there_are_notebooks_with_solutions():
    assert "01-a-layer.ipynb" in NOTEBOOKS
    assert str(Path("solutions", "01-a-layer.ipynb")) in SOLUTIONS
