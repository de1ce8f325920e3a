"""Run notebooks from top to bottom: `python notebooks/execute.py notebooks/03*.ipynb` saves them with outputs.

With `--only-check` nothing is saved. Either way an error, or anything on the error stream, fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

TIMEOUT = 300  # seconds for a cell; a whole notebook should take less than 60


def execute(path: Path) -> nbformat.NotebookNode:
    """Run a notebook in a fresh kernel, which is this very interpreter, and return it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    manager = AsyncKernelManager()
    manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    folder = {"metadata": {"path": str(path.resolve().parent)}}
    # One output for what a cell prints, however it was timed: else the same run is saved differently.
    NotebookClient(notebook, km=manager, timeout=TIMEOUT, resources=folder, coalesce_streams=True).execute()
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = (
            f"cell-{number}"  # the same in every run, so that a change of one cell is a change of one cell
        )
        cell.metadata = {}
        for output in cell.get("outputs", []):
            # Once on a machine, where Numba is installed, training says that it compiles.
            if output.get("name") == "stderr" and "layernet compiles" not in output.text:
                raise RuntimeError(f"{path.name} wrote to the error stream: {output.text}")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--only-check", action="store_true", help="save nothing")
    options = parser.parse_args()
    for path in options.notebooks:
        began = time.perf_counter()
        notebook = execute(path)
        if not options.only_check:
            nbformat.write(notebook, path)
        size = len(nbformat.writes(notebook)) / 1e6
        print(f"{path.name}: {time.perf_counter() - began:.1f} s, {size:.2f} MB")


if __name__ == "__main__":
    main()
