"""Machine code of kernels: kept on disk, loaded without Numba, and never run if it is not what was kept."""

import importlib.metadata
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("numba", reason="kernels need Numba, which is not installed")

from engine.comparing import run_python, run_python_and_listen

from layernet.engine.compiled import machine_code
from layernet.engine.compiled.kernel import Kernel, cast_like, vectors
from layernet.engine.compiled.machine import Machine

FLOAT = np.dtype(np.float64)
TOLD = "layernet compiles its kernels for this machine: some seconds, once.\n"

# A training with few kernels: what it comes to, and whether Numba was imported.
TRAINING = """
import sys
import numpy as np
from layernet import Dense
X = np.linspace(-1, 1, 60).reshape(20, 3)
dense = Dense(2)
dense.fit(X, X[:, :2].copy(), "mean_squared_error", "sgd", epochs=3, random_state=0, engine="compiled")
print(dense.parameter_vector.tobytes().hex(), "numba" in sys.modules)
"""


def training_with(**environment):
    """What the training comes to, whether it imported Numba, and what it wrote to stderr."""
    done = run_python_and_listen(TRAINING, **environment)
    bits, imported_numba = done.stdout.split()
    return bits, imported_numba == "True", done.stderr


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the machine code of the training, and what the training that compiled it came to."""
    folder = tmp_path_factory.mktemp("kept")
    return folder, training_with(NUMBA_CACHE_DIR=folder)


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    """An empty folder for machine code, in this process."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    machine_code.cache_folder.cache_clear()
    yield tmp_path / "layernet"
    machine_code.cache_folder.cache_clear()


def double(control, operands, sizes):
    (values,) = vectors(control, operands, sizes, 1)
    for place in range(len(values)):
        values[place] += values[place]


def add_one(control, operands, sizes):
    (values,) = vectors(control, operands, sizes, 1)
    for place in range(len(values)):
        values[place] += cast_like(values, 1)


def doubled(kernel, dtype=np.float64):
    values = np.array([[1.0, -2.0, 0.5]], dtype)
    Machine([(kernel, [values], [1])], np.dtype(dtype), 0, 1, 1).run(0, 1, 0, 1, 1, 1)
    return values


# --- on disk, and back ---


def test_the_first_training_compiles_and_says_so(kept):
    folder, (_, imported_numba, stderr) = kept
    assert imported_numba
    assert stderr == TOLD
    names = [file.name for file in (folder / "layernet").iterdir()]
    assert {name.split("-")[1] for name in names} == {"float64"}
    assert len(names) > 10
    assert all(name.startswith("layernet.engine.") and name.endswith(".o") for name in names)


def test_the_second_training_loads_without_numba_and_comes_to_the_same(kept):
    folder, (bits, _, _) = kept
    before = {file: file.stat().st_mtime_ns for file in (folder / "layernet").iterdir()}
    assert training_with(NUMBA_CACHE_DIR=folder) == (bits, False, "")
    assert {file: file.stat().st_mtime_ns for file in (folder / "layernet").iterdir()} == before


def test_nothing_is_imported_before_it_is_needed():
    script = "import sys, layernet; print({'numba', 'llvmlite', 'scipy'} & set(sys.modules))"
    assert run_python(script) == "set()\n"


def test_a_choice_for_formulas_imports_neither_numba_nor_llvmlite():
    script = TRAINING.replace('"compiled"', '"formulas"') + "print('llvmlite' in sys.modules)"
    assert run_python(script).split()[1:] == ["False", "False"]


# --- damage ---


def one_bit_wrong(place):
    """Damages a bit of a byte."""
    return lambda content: content[:place] + bytes([content[place] ^ 0x80]) + content[place:][1:]


DAMAGES = {
    "cut short": lambda content: content[: len(content) // 2],
    "the first byte": one_bit_wrong(0),
    "the 40th byte": one_bit_wrong(40),
    "a byte near the end": one_bit_wrong(-100),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_damaged_on_disk_is_compiled_again(damage, kept, tmp_path):
    """In a process of its own, for running damaged code may end it."""
    folder, (bits, _, _) = kept
    (tmp_path / "layernet").mkdir(mode=0o700)
    for file in (folder / "layernet").iterdir():
        content = file.read_bytes()
        if "optimizers.sgd" in file.name:
            content, damaged = DAMAGES[damage](content), tmp_path / "layernet" / file.name
        copied = tmp_path / "layernet" / file.name
        copied.write_bytes(content)
        copied.chmod(0o600)
    assert training_with(NUMBA_CACHE_DIR=tmp_path) == (bits, True, TOLD)
    # Compiled anew, which counts its functions from 1 again: the code is another, but whole.
    assert len(damaged.read_bytes()) > 1000
    assert training_with(NUMBA_CACHE_DIR=tmp_path) == (bits, False, "")


def test_a_folder_in_the_place_of_a_file_does_no_harm(fresh_cache):
    kernel = Kernel(double)
    file = file_of(kernel)
    file.mkdir(parents=True)
    assert_array_equal(doubled(kernel), [[2, -4, 1]])


def test_a_cache_that_is_deleted_while_the_process_lives_does_no_harm(fresh_cache):
    first, second = Kernel(double, "first"), Kernel(double, "second")
    doubled(first)
    for file in fresh_cache.iterdir():
        file.unlink()
    fresh_cache.rmdir()
    assert_array_equal(doubled(second), [[2, -4, 1]])


def test_a_full_disk_does_no_harm(fresh_cache, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert_array_equal(doubled(Kernel(double)), [[2, -4, 1]])


# --- where it lies ---


def below_a_file(folder):
    """A path at which not even root can make a folder."""
    file = folder / "file"
    file.write_text("no folder")
    return file / "below"


def test_without_any_folder_kernels_are_compiled_and_not_kept(tmp_path, kept):
    nowhere = below_a_file(tmp_path)
    script = f"import tempfile; tempfile.tempdir = {str(nowhere)!r}\n{TRAINING}"
    done = run_python_and_listen(script, NUMBA_CACHE_DIR=nowhere, XDG_CACHE_HOME=nowhere)
    assert done.stdout.split() == [kept[1][0], "True"]
    assert done.stderr == TOLD


@pytest.mark.parametrize("usable", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "home", "temporary", None])
def test_the_first_folder_that_can_be_written_to(usable, tmp_path, monkeypatch):
    nowhere, good = below_a_file(tmp_path), tmp_path / "good"
    for variable in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(good if variable == usable else nowhere))
    if usable == "home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", lambda: good)
    monkeypatch.setattr("tempfile.tempdir", str(good if usable == "temporary" else nowhere))
    machine_code.cache_folder.cache_clear()
    try:
        folder = machine_code.cache_folder()
    finally:
        machine_code.cache_folder.cache_clear()
    if usable is None:
        assert folder is None
    else:
        assert folder.is_relative_to(good)
        assert folder.name.startswith("layernet")
        assert not list(folder.iterdir())
        assert sys.platform == "win32" or folder.stat().st_mode & 0o077 == 0  # nobody else may put code there


OTHERS_MAY_WRITE = [0o720, 0o702, 0o777]
WITH_OWNERS = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner here")


@pytest.fixture
def only_here(tmp_path, monkeypatch):
    """The only folder for machine code is in a folder of ours."""
    nowhere = below_a_file(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere))
    monkeypatch.setattr("tempfile.tempdir", str(nowhere))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    machine_code.cache_folder.cache_clear()
    yield tmp_path / "layernet"
    machine_code.cache_folder.cache_clear()


@WITH_OWNERS
@pytest.mark.parametrize("mode", [0o700, 0o755, *OTHERS_MAY_WRITE])
def test_a_folder_that_others_may_write_to_is_passed_over(mode, only_here):
    only_here.mkdir()
    only_here.chmod(mode)
    assert machine_code.cache_folder() == (None if mode in OTHERS_MAY_WRITE else only_here)


@WITH_OWNERS
def test_a_folder_of_another_user_is_passed_over(only_here, monkeypatch):
    only_here.mkdir(mode=0o700)
    user = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)
    assert machine_code.cache_folder() is None


@WITH_OWNERS
def test_a_link_that_another_user_made_is_passed_over(only_here, monkeypatch):
    """Even to a folder of ours: it may lead elsewhere at the next moment."""
    (only_here.parent / "elsewhere").mkdir(mode=0o700)
    only_here.symlink_to("elsewhere")
    assert machine_code.cache_folder() == only_here
    machine_code.cache_folder.cache_clear()
    status = only_here.stat()
    of_a_stranger = os.stat_result([*status[:4], status.st_uid + 1, *status[5:]])
    monkeypatch.setattr(Path, "lstat", lambda path: of_a_stranger)
    assert machine_code.cache_folder() is None


@WITH_OWNERS
def test_a_link_of_ours_to_a_folder_of_another_user_is_passed_over(only_here, monkeypatch):
    """The owner of the folder may put any code there."""
    (only_here.parent / "elsewhere").mkdir(mode=0o700)
    only_here.symlink_to("elsewhere")
    of_link, status = only_here.lstat(), only_here.stat()
    of_a_stranger = os.stat_result([*status[:4], status.st_uid + 1, *status[5:]])
    monkeypatch.setattr(Path, "lstat", lambda path: of_link)
    monkeypatch.setattr(Path, "stat", lambda path, **options: of_a_stranger)
    assert machine_code.cache_folder() is None


@WITH_OWNERS
@pytest.mark.parametrize("mode", [0o600, 0o644, *OTHERS_MAY_WRITE])
def test_code_that_others_may_have_written_is_not_run(mode, fresh_cache):
    kernel = Kernel(double)
    kernel.address(FLOAT)
    file = file_of(kernel)
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(mode)
    assert (machine_code._cached(file) is None) is (mode in OTHERS_MAY_WRITE)
    Kernel(double).address(FLOAT)
    assert file.stat().st_mode & 0o022 == 0  # compiled and kept again


@WITH_OWNERS
def test_code_of_another_user_is_not_run(fresh_cache, monkeypatch):
    kernel, user = Kernel(double), os.geteuid()
    kernel.address(FLOAT)
    assert machine_code._cached(file_of(kernel)) is not None
    monkeypatch.setattr("os.geteuid", lambda: user + 1)
    assert machine_code._cached(file_of(kernel)) is None


def test_code_under_the_name_of_another_kernel_is_not_run(fresh_cache):
    first, second = Kernel(double), Kernel(add_one)
    first.address(FLOAT)
    file_of(first).rename(file_of(second))
    assert machine_code._cached(file_of(second)) is None
    assert_array_equal(doubled(second), [[2, -1, 1.5]])


# --- what it depends on ---


def file_of(kernel, dtype=FLOAT):
    """The file of a kernel's machine code, made by the very steps that making the code takes."""
    asked = []

    def remember(formula, name, dtype, fingerprint, is_checked):
        asked.append((name, dtype, fingerprint))
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layernet.engine.compiled.kernel.machine_code", remember)
        Kernel(kernel.formula, kernel.name.rpartition(".")[2]).address(dtype)
    return machine_code._cache_file(*asked[0])


def test_the_name_of_a_file_tells_kernel_type_and_all_that_it_depends_on(fresh_cache, monkeypatch):
    kernel = Kernel(double)
    file = file_of(kernel)
    assert file.name.startswith(f"{kernel.name}-float64-")
    assert file_of(kernel) == file
    others = [file_of(kernel, np.dtype(np.float32)), file_of(Kernel(double, "other"))]
    others.append(file_of(Kernel(add_one, "double")))
    monkeypatch.setattr(machine_code, "compiler_digest", lambda: "another stamp")
    others.append(file_of(kernel))
    monkeypatch.undo()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(fresh_cache.parent))
    monkeypatch.setattr(machine_code._loader(), "processor", ("another processor", ""))
    others.append(file_of(kernel))
    assert len({file, *others}) == 6


def test_a_stamp_is_of_the_compilers_sources_and_of_the_versions_of_numba_and_llvm(monkeypatch):
    version, stamps = importlib.metadata.version, []

    def stamp():
        machine_code.compiler_digest.cache_clear()
        stamps.append(machine_code.compiler_digest())

    stamp()
    stamp()
    assert stamps[0] == stamps[1]
    for index in range(len(machine_code._OWN_SOURCES)):
        with monkeypatch.context() as patch:
            sources = list(machine_code._OWN_SOURCES)
            sources[index] = b"changed"
            patch.setattr(machine_code, "_OWN_SOURCES", sources)
            stamp()
    for package in ("numba", "llvmlite"):
        monkeypatch.setattr(
            "importlib.metadata.version",
            lambda name, package=package: "99" if name == package else version(name),
        )
        stamp()
    monkeypatch.undo()
    machine_code.compiler_digest.cache_clear()
    assert len(set(stamps)) == len(stamps) - 1


FUNCTION = """
from layernet.engine.compiled.kernel import inline

@inline
def changed(x):
    return x + x
"""
KERNEL = """
import numpy as np
from layernet.engine.compiled.kernel import kernel, vectors
from layernet.engine.compiled.machine import Machine

@kernel
def change(control, operands, sizes):
    (values,) = vectors(control, operands, sizes, 1)
    for place in range(len(values)):
        values[place] = changed(values[place])

def result():
    values = np.array([[1.0, 5.0]])
    Machine([(change, [values], [1])], np.dtype(float), 0, 1, 1).run(0, 1, 0, 1, 1, 1)
    return values[0].tolist()
"""
IMPORTED = """
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import own_kernels
"""


@pytest.fixture
def own_kernels(tmp_path):
    """Writes a module with a kernel, and another with the formula that it applies; returns their folder."""

    def write(formula):
        (tmp_path / "own_functions.py").write_text(FUNCTION.replace("x + x", formula))
        (tmp_path / "own_kernels.py").write_text(f"from own_functions import changed\n{KERNEL}")
        return tmp_path

    return write


def test_a_kernel_of_ones_own_that_was_changed_is_compiled_again(kept, own_kernels):
    for formula, result in (("x + x", "[2.0, 10.0]\n"), ("x * x", "[1.0, 25.0]\n")):
        script = f"{IMPORTED}print(own_kernels.result())"
        assert run_python(script, own_kernels(formula), NUMBA_CACHE_DIR=kept[0]) == result


def test_a_source_that_changes_after_its_import_does_not_give_its_name_to_older_code(kept, own_kernels):
    """As when the package is updated while a notebook has it imported."""
    changing = f"""{IMPORTED}
from pathlib import Path
source = Path(own_kernels.__file__).with_name("own_functions.py")
source.write_text(source.read_text().replace("x - x", "x * x"))
print(own_kernels.result())
"""
    folder = own_kernels("x - x")
    assert run_python(changing, folder, NUMBA_CACHE_DIR=kept[0]) == "[0.0, 0.0]\n"
    script = f"{IMPORTED}print(own_kernels.result())"
    assert run_python(script, folder, NUMBA_CACHE_DIR=kept[0]) == "[1.0, 25.0]\n"


def test_a_module_that_is_reloaded_has_new_kernels(kept, own_kernels):
    """As notebooks do when a file was edited."""
    reloading = f"""{IMPORTED}
import importlib
from pathlib import Path
import own_functions
print(own_kernels.result())
source = Path(own_functions.__file__)
source.write_text(source.read_text().replace("x + x", "x * x * x"))
importlib.reload(own_functions)
importlib.reload(own_kernels)
print(own_kernels.result())
"""
    assert run_python(reloading, own_kernels("x + x"), NUMBA_CACHE_DIR=kept[0]) == "[2.0, 10.0]\n[1.0, 125.0]\n"


def test_a_kernel_that_was_typed_in_is_kept_as_well(kept):
    for formula, result in (("x + x", "[2.0, 10.0]\n"), ("x * x", "[1.0, 25.0]\n")):
        for is_compiled in (True, False):
            script = f"{FUNCTION.replace('x + x', formula)}{KERNEL}print(result())"
            done = run_python_and_listen(script, NUMBA_CACHE_DIR=kept[0])
            assert (done.stdout, done.stderr == TOLD) == (result, is_compiled)


def times(factor):
    """A kernel that its factory's argument makes a kernel of its own."""

    def formula(control, operands, sizes):
        (values,) = vectors(control, operands, sizes, 1)
        for place in range(len(values)):
            values[place] *= cast_like(values, factor)

    return Kernel(formula)


def test_kernels_of_one_factory_do_what_their_closures_say(fresh_cache):
    for _ in range(2):  # compiled, and from the cache
        assert_array_equal(doubled(times(2.0)), [[2, -4, 1]])
        assert_array_equal(doubled(times(3.0)), [[3, -6, 1.5]])
    assert len(list(fresh_cache.glob("*.times.*"))) == 2


def test_a_kernel_that_reads_what_has_no_fingerprint_is_compiled_and_not_kept(fresh_cache):
    class Factor(float):
        """Numba takes it for a float; what else is in it nobody knows."""

    kernel = times(Factor(2.0))
    assert file_of(kernel) is None


def test_a_kernel_that_makes_arrays_is_refused_and_not_kept(fresh_cache):
    """Numba's runtime, which it would need, is not there when it is loaded; and LLVM would end the process."""

    def with_an_array(control, operands, sizes):
        (values,) = vectors(control, operands, sizes, 1)
        values[0] = np.ones(len(values)).sum()

    with pytest.raises(NotImplementedError, match=r"with_an_array> calls NRT_\w+, .* makes no arrays: write"):
        Kernel(with_an_array).address(FLOAT)
    assert not list(fresh_cache.iterdir())


def test_kernels_of_the_package_need_nothing_that_is_not_in_every_process():
    """Each is loaded in a process without Numba, which an unknown symbol would end."""
    script = """
import importlib, pkgutil, sys
import numpy as np
from layernet.engine.compiled import kernels, machine
from layernet.engine.compiled.kernel import Kernel
found = {machine.run_steps}
for info in pkgutil.iter_modules(kernels.__path__):
    for value in vars(importlib.import_module(f"layernet.engine.compiled.kernels.{info.name}")).values():
        of_value = value if isinstance(value, tuple) else [value]
        found.update(each for each in of_value if isinstance(each, Kernel))
print(len(found), len({kernel.name for kernel in found}))
print(all(kernel.address(np.dtype(dtype)) for kernel in found for dtype in sys.argv[1:]))
print("numba" in sys.modules)
"""
    run_python(script, "float32", "float64")
    counts, all_loaded, imported_numba = run_python(script, "float32", "float64").splitlines()
    n_kernels, n_names = map(int, counts.split())
    assert n_kernels == n_names > 50
    assert all_loaded == "True"
    assert imported_numba == "False"


# --- several at once ---


def test_functions_of_one_symbol_do_not_get_mixed_up(own_kernels, tmp_path):
    """Numba counts functions from 1 in every process, so that code from two of them may have one name."""
    found = []
    for formula in ("x + x", "x * x"):
        folder = tmp_path / ("sum" if "+" in formula else "product")
        script = f"{IMPORTED}own_kernels.result()"
        run_python(script, own_kernels(formula), NUMBA_CACHE_DIR=folder, PYTHONHASHSEED=0)
        (file,) = (folder / "layernet").glob("own_kernels.change-*")
        found.append(machine_code._cached(file))
    first, second = (machine_code._loader().load(*symbol_and_code) for symbol_and_code in found)
    assert first != second


@pytest.mark.parametrize("is_cold", [True, False])
def test_threads_that_need_kernels_for_the_first_time_at_once(is_cold, kept, tmp_path):
    folder, (bits, _, _) = kept
    script = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from layernet import Dense
X = np.linspace(-1, 1, 60).reshape(20, 3)
barrier = threading.Barrier(4)

def train(_):
    dense = Dense(2)
    barrier.wait()
    dense.fit(X, X[:, :2].copy(), "mean_squared_error", "sgd", epochs=3, random_state=0, engine="compiled")
    return dense.parameter_vector.tobytes().hex()

with ThreadPoolExecutor(4) as threads:
    print(*set(threads.map(train, range(4))))
"""
    done = run_python_and_listen(script, NUMBA_CACHE_DIR=tmp_path if is_cold else folder)
    assert done.stdout.split() == [bits]
    assert done.stderr == (TOLD if is_cold else "")


def test_processes_that_compile_at_once_share_a_folder(kept, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda _: training_with(NUMBA_CACHE_DIR=tmp_path), range(2)))
    assert {bits for bits, _, _ in results} == {kept[1][0]}
    assert {file.suffix for file in (tmp_path / "layernet").iterdir()} == {".o"}  # nothing is left half written
    assert training_with(NUMBA_CACHE_DIR=tmp_path) == (kept[1][0], False, "")
