"""Run notebooks from top to bottom and save them: `python notebooks/execute.py notebooks/03*.ipynb`.

With `--only-check` nothing is saved. With `--claims FOLDER`, the code of FOLDER/notebook_03.py runs too. Each
part runs in the kernel of the notebook, after the cell that its heading `# %% ID` names. An error, or output on
the error stream, fails.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

CELL_TIMEOUT_SECONDS = 300  # a whole notebook should take less than 30


def read_claims(path: Path) -> dict[str, str]:
    """Return the code of a file of claims by the id of the cell that it follows."""
    _, *parts = re.split(r"^# %% (\S+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def insert_claims(notebook: nbformat.NotebookNode, claims: dict[str, str]) -> None:
    """Insert the code of each claim as a cell after the cell that it is about."""
    ids = [cell.id for cell in notebook.cells]
    if unknown := set(claims) - set(ids):
        raise ValueError(f"There are claims about cells that are not in the notebook: {sorted(unknown)}.")
    for cell_id, code in claims.items():
        index = next(i for i, cell in enumerate(notebook.cells) if cell.id == cell_id)
        notebook.cells.insert(index + 1, nbformat.v4.new_code_cell(code))


def execute(path: Path, claims: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Run a notebook in a fresh kernel, with this interpreter, and return it with its outputs.

    Ids and metadata of cells stay as they are, so that a change of one cell changes only it in the file.
    """
    notebook = nbformat.read(path, as_version=4)
    insert_claims(notebook, claims or {})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    manager = AsyncKernelManager()
    manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=CELL_TIMEOUT_SECONDS,
        resources={"metadata": {"path": str(path.resolve().parent)}},
        # Else the outputs depend on when they were printed, and the metadata on when the cell ran.
        coalesce_streams=True,
        record_timing=False,
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            # Where Numba is installed, the first training on a machine prints that it compiles.
            if output.get("name") == "stderr" and "layernet compiles" not in output.text:
                raise RuntimeError(f"{path.name} wrote to the error stream: {output.text}")
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python"}  # without the version of this interpreter
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--only-check", action="store_true", help="save nothing")
    parser.add_argument("--claims", type=Path, help="folder of the claims; implies --only-check")
    options = parser.parse_args()
    for path in options.notebooks:
        started = time.perf_counter()
        claims = read_claims(options.claims / f"notebook_{path.name[:2]}.py") if options.claims else None
        notebook = execute(path, claims)
        if not (options.only_check or options.claims):
            nbformat.write(notebook, path)
        size = len(nbformat.writes(notebook)) / 1e6
        print(f"{path.name}: {time.perf_counter() - started:.1f} s, {size:.2f} MB")


if __name__ == "__main__":
    main()
