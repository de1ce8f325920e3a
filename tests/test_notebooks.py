"""The notebooks: saved executed and clean, and they run again."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent / "notebooks"
CLAIMS = Path(__file__).parent / "notebook_claims"
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
    "08-schedules-and-regularization",
    "09-your-own-layer",
    "10-tables",
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
def test_notebook_runs_again_and_its_claims_hold(path):
    # In a process of its own: Jupyter leaves sockets to the garbage collector, which is none of our warnings.
    command = [sys.executable, str(FOLDER / "execute.py"), "--claims", str(CLAIMS), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_cells_of_learners_contain_no_asserts(path):
    for cell in code_cells(nbformat.read(path, as_version=4)):
        assert not re.search(r"^\s*assert\b", cell.source, re.MULTILINE), cell.id


def test_a_claim_that_does_not_hold_fails(tmp_path):
    claims = tmp_path / "claims"
    claims.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1", id="one")])
    nbformat.write(notebook, tmp_path / "01-x.ipynb")
    for claim, is_met in (("assert x == 1", True), ("assert x == 2", False)):
        (claims / "notebook_01.py").write_text(f"# %% one\n{claim}\n")
        command = [
            sys.executable,
            str(FOLDER / "execute.py"),
            "--claims",
            str(claims),
            str(tmp_path / "01-x.ipynb"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert (done.returncode == 0) == is_met, done.stderr


def test_metadata_and_ids_of_cells_survive_an_execution(tmp_path):
    cell = nbformat.v4.new_code_cell("1 + 1", id="sum", metadata={"slideshow": {"slide_type": "slide"}})
    path = tmp_path / "01-x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    command = [sys.executable, str(FOLDER / "execute.py"), str(path)]
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    (saved,) = nbformat.read(path, as_version=4).cells
    assert saved.id == "sum"
    assert saved.metadata == {"slideshow": {"slide_type": "slide"}}
    assert saved.outputs[0].data["text/plain"] == "2"
