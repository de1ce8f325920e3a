"""The notebooks: saved executed and clean, and they run again."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|tmp|work|Users|opt|usr)/|[A-Z]:\\\\")

NAMES = [
    "01-a-layer",
    "02-estimators",
    "03-back-propagation",
    "04-efficient-layers",
    "05-see-it-learn",
    "06-when-it-leaks",
    "07-optimizers",
    "08-your-own-layer",
]


def test_all_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == NAMES


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_saved_notebook_is_executed_and_clean(path):
    assert path.stat().st_size < 1_500_000
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    for output in outputs:
        assert output.output_type != "error", output
        assert output.get("name") != "stderr", output.text
        assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
    pictures = [output.data.pop("image/png") for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert not MACHINE_PATH.search(json.dumps(notebook)), "a path of a machine"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs_again(path):
    # In a process of its own: Jupyter leaves sockets to the garbage collector, which is none of our warnings.
    command = [sys.executable, str(FOLDER / "execute.py"), "--only-check", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
