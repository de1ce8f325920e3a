"""Run notebooks and save them with what they print and draw: `python notebooks/execute.py [notebook ...]`.

Without arguments it runs all in this folder. A notebook that fails, or warns, is left as it was.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
    # This very interpreter, whatever is registered under the name python3, and no settings of its user.
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    with tempfile.TemporaryDirectory() as settings:
        environment = {
            k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "MPLCONFIGDIR", "MATPLOTLIBRC")
        }
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=120,
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.execute(env={**environment, "IPYTHONDIR": settings})
    for cell in cells:
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name}: a cell warns:\n{cell.source}\n\n{output.text}")
    # What differs from one machine to the next, or from one run to the next, says nothing to a reader.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(FOLDER.rglob("[!.]*.ipynb")):
        execute(Path(name).resolve())
        print(f"saved {Path(name).name}")
