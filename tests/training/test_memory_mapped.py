"""Large memory-mapped arrays stay on disk: a batch at a time is read, and what comes out is the same."""

import mmap
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

from layernet import (
    SGD,
    BatchNorm,
    Dense,
    DivergenceError,
    Dropout,
    Flatten,
    MeanSquaredError,
    MLPClassifier,
    MLPRegressor,
    ReLU,
    Sequential,
)
from layernet.estimators.row_hashes import hash_rows
from layernet.training import evaluate, storage
from layernet.training.data import TrainingData
from layernet.training.storage import SelectedRows, is_memory_mapped
from layernet.validation import CHECKED_AT_ONCE, require_finite

pytestmark = pytest.mark.slow

STATUS = Path("/proc/self/status")

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 5, (1500, 6)).astype(np.uint8)
CLASSES = RANDOM.integers(0, 3, 1500)


@pytest.fixture
def on_disk(tmp_path):
    """A function that maps an array from a file."""

    def on_disk(array, order="C"):
        mapped = np.memmap(
            tmp_path / f"{len(list(tmp_path.iterdir()))}", array.dtype, "w+", shape=array.shape, order=order
        )
        mapped[...] = array
        return mapped

    return on_disk


@pytest.fixture
def low_limit(monkeypatch):
    """Whatever is mapped stays on disk."""
    monkeypatch.setattr(storage, "IN_MEMORY_LIMIT", 100)


def network():
    return Sequential([Dense(8), BatchNorm(), ReLU(), Dropout(0.2), Dense(3)])


# --- memory ---

# 100,000 rows of 784 numbers: as float32 they are 314 MB, a batch of 128 of them 0.4 MB, and a block of 1,024
# that is evaluated 3 MB.
N_ROWS, N_FEATURES = 100_000, 784

# A first fit of little data loads whatever is loaded once, threads of BLAS with their buffers among it.
MEASURE = """
import sys, threading, time, warnings
import numpy as np
{preparation}

warnings.simplefilter("ignore")

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))

def watch():
    global peak
    while not done:
        peak = max(peak, anonymous())
        time.sleep(0.001)

X = np.memmap(sys.argv[1], sys.argv[2], "r", shape=({n_rows}, {n_features}))
y = np.arange(len(X)) % 3
fit(np.array(X[:300]), y[:300])
before = peak = anonymous()
done = False
watcher = threading.Thread(target=watch)
watcher.start()
fit(X, y)
done = True
watcher.join()
print(peak - before)
"""

NETWORK = """
from layernet import Dense, Flatten, ReLU, Sequential
from layernet.training import storage
{change}

def fit(X, y):
    net = Sequential([Dense(16), ReLU(), Dense(3)]).build(X.shape[1], random_state=0, dtype="float32")
    net.fit(X, y, "cross_entropy", epochs=1, batch_size=128, validation_data={validation})
"""

ESTIMATOR = """
from layernet import MLPClassifier

def fit(X, y):
    MLPClassifier((16,), max_iter=1, random_state=0, {options}).fit(X, y)
"""


def growth(tmp_path, dtype, preparation):
    """By how many bytes anonymous memory, which no file backs, grows in a fit in a process of its own."""
    if not STATUS.exists() or "RssAnon" not in STATUS.read_text():
        pytest.skip("/proc/self/status does not tell RssAnon: not Linux, or not one that tells")
    path = tmp_path / "data"
    # Most of the file is holes, which read as zeros and take no time to write.
    np.memmap(path, dtype, "w+", shape=(N_ROWS, N_FEATURES))[::1000] = 1
    script = MEASURE.format(preparation=preparation, n_rows=N_ROWS, n_features=N_FEATURES)
    ran = subprocess.run(
        [sys.executable, "-c", script, path, dtype], capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


# A few batches and blocks are 10 MB, and vectors of a number for each row (their order, their classes, the
# outputs for them) 0.8 MB each. The rest is for the allocator, which gives back late what is freed.
ALLOWED = 40e6


@pytest.mark.parametrize(
    ("dtype", "preparation"),
    [
        ("float32", NETWORK.format(change="", validation="(X, y)")),
        ("uint8", NETWORK.format(change="", validation="(X, y)")),
        ("float32", ESTIMATOR.format(options="dropout=0.5")),
        ("float32", ESTIMATOR.format(options="early_stopping=True")),
    ],
    ids=["network-float32", "network-uint8", "estimator-dropout", "estimator-early-stopping"],
)
def test_a_fit_needs_memory_for_a_few_batches(tmp_path, dtype, preparation):
    assert growth(tmp_path, dtype, preparation) < ALLOWED


def test_the_measure_sees_a_copy(tmp_path):
    """Below the limit all of X is converted at once."""
    preparation = NETWORK.format(change="storage.IN_MEMORY_LIMIT = 2**40", validation="None")
    assert growth(tmp_path, "uint8", preparation) > 300e6


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_check_for_finite_numbers_needs_a_block(order):
    array = np.ones((3000, 1000), order=order)  # 24 MB; whether each is finite, 3 MB
    tracemalloc.start()
    try:
        require_finite(array, "X")
        array[2999, 999] = np.nan
        with pytest.raises(ValueError, match=r"got nan at \(2999, 999\) \(1 such values\)"):
            require_finite(array, "X")
        assert tracemalloc.get_traced_memory()[1] < 20 * CHECKED_AT_ONCE
    finally:
        tracemalloc.stop()


# --- the same numbers ---


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", ">f4", "float64"])
@pytest.mark.parametrize("built", [None, "float32"])
def test_a_network_learns_the_same(on_disk, built, dtype, order):
    nets, histories = [], []
    for X in (IMAGES.astype(dtype), on_disk(IMAGES.astype(dtype), order)):
        net = network()
        if built:
            net.build(6, random_state=1, dtype=built)
        histories.append(
            net.fit(
                X,
                CLASSES,
                loss="cross_entropy",
                epochs=2,
                random_state=0,
                sample_weight=np.arange(1500) % 3,
                validation_data=(X, CLASSES),
                metrics="accuracy",
            )
        )
        nets.append(net)
    assert nets[0].dtype == nets[1].dtype
    assert np.array_equal(nets[0].parameter_vector, nets[1].parameter_vector)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert histories[0][name] == histories[1][name]


@pytest.mark.usefixtures("low_limit")
def test_rows_of_any_shape(on_disk):
    images, targets = RANDOM.random((300, 4, 5)), RANDOM.random((300, 2))
    nets = [Sequential([Flatten(), Dense(2)]).build((4, 5), random_state=0, dtype="float32") for _ in range(2)]
    nets[0].fit(images, targets, loss="mean_squared_error", shuffle=False)
    nets[1].fit(on_disk(images), on_disk(targets), loss="mean_squared_error", shuffle=False)
    assert np.array_equal(nets[0].parameter_vector, nets[1].parameter_vector)
    scores = [
        evaluate(net, X, targets, loss="mean_squared_error")
        for net, X in zip(nets, (images, on_disk(images)), strict=True)
    ]
    assert scores[0] == scores[1]


@pytest.mark.usefixtures("low_limit")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.3, "shuffle": False},
        {"early_stopping": True},
        {"early_stopping": True, "dropout": 0.3, "class_weight": "balanced"},
        {"early_stopping": True, "scoring": "balanced_accuracy"},
        {"solver": "lbfgs"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_estimator_learns_the_same(on_disk, dtype, options):
    X = IMAGES.astype(dtype)
    fitted = [
        MLPClassifier((8,), max_iter=3, random_state=0, **options).fit(data, CLASSES)
        for data in (X, on_disk(X))
    ]
    vectors = [classifier.network_.parameter_vector for classifier in fitted]
    assert np.array_equal(*vectors)
    assert fitted[0].loss_curve_ == fitted[1].loss_curve_
    if "early_stopping" in options:
        assert fitted[0].validation_scores_ == fitted[1].validation_scores_


@pytest.mark.usefixtures("low_limit")
def test_training_goes_on_with_data_of_another_type(on_disk):
    """The network is of float32, and its noise belongs to rows as it sees them."""
    X = RANDOM.standard_normal((300, 6))
    fitted = []
    for data in (X, on_disk(X)):
        classifier = MLPClassifier((8,), dropout=0.3, random_state=0)
        classifier.partial_fit(X.astype("float32"), CLASSES[:300], classes=[0, 1, 2])
        fitted.append(classifier.partial_fit(data, CLASSES[:300]).network_.parameter_vector)
    assert fitted[0].dtype == np.float32
    assert np.array_equal(*fitted)


# --- what is mapped, and what stays where ---


def test_what_is_mapped(on_disk, tmp_path):
    mapped = on_disk(np.ones((6, 4)))
    for view in (
        mapped,
        np.asarray(mapped),
        np.asarray(mapped)[1:][::2],
        mapped.T,
        mapped.reshape(-1),
        np.lib.stride_tricks.sliding_window_view(mapped, 2, axis=0),
    ):
        assert is_memory_mapped(view)
    with (tmp_path / "0").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as bytes_:
        numbers = [np.frombuffer(bytes_), np.ndarray((4,), buffer=bytes_)]
        assert all(map(is_memory_mapped, numbers))
        del numbers
    for copy in (mapped.copy(), mapped[[0, 2]], mapped + 1, np.ones(3)[1:], np.frombuffer(b"01", "i1")):
        assert not is_memory_mapped(copy)
    assert not is_memory_mapped([1.0])


def prepared(X, dtype="float32"):
    net = network().build(6, random_state=0, dtype=dtype)
    return TrainingData(net, MeanSquaredError(), X, np.zeros((len(X), 3)), None, None)


@pytest.mark.usefixtures("low_limit")
def test_the_right_type_is_a_view(on_disk):
    mapped = on_disk(IMAGES.astype("float32"))
    data = prepared(mapped)
    assert type(data.inputs) is np.ndarray
    assert np.shares_memory(data.inputs, mapped)
    assert data.n_samples == 1500
    assert np.array_equal(data.batch(np.array([5, 3]))[0], IMAGES[[5, 3]])


@pytest.mark.usefixtures("low_limit")
def test_another_type_is_converted_by_the_batch(on_disk):
    mapped = on_disk(IMAGES)
    data = prepared(mapped)
    assert np.shares_memory(data.inputs, mapped)
    assert data.inputs.dtype == np.uint8
    for rows in (slice(4, 9), np.array([5, 3])):
        inputs = data.batch(rows)[0]
        assert type(inputs) is np.ndarray
        assert inputs.dtype == np.float32
        assert np.array_equal(inputs, IMAGES[rows])
    assert data.largest_input() == 4


def test_what_is_small_or_in_memory_is_converted_once(on_disk, monkeypatch):
    assert not is_memory_mapped(prepared(on_disk(IMAGES)).inputs)
    monkeypatch.setattr(storage, "IN_MEMORY_LIMIT", IMAGES.size * 4 - 1)
    assert is_memory_mapped(prepared(on_disk(IMAGES)).inputs)
    monkeypatch.setattr(storage, "IN_MEMORY_LIMIT", IMAGES.size * 4)
    assert prepared(on_disk(IMAGES)).inputs.dtype == np.float32
    monkeypatch.setattr(storage, "IN_MEMORY_LIMIT", 0)
    assert prepared(IMAGES).inputs.dtype == np.float32


def test_selected_rows():
    array, rows = RANDOM.standard_normal((3000, 40)).astype("float32"), RANDOM.permutation(3000)[:2500]
    selected = SelectedRows(array, rows)
    assert len(selected) == 2500
    assert selected.shape == (2500, 40)
    assert np.array_equal(selected[10:20], array[rows][10:20])
    assert np.array_equal(np.asarray(selected), array[rows])
    assert np.asarray(selected, "float64").dtype == np.float64
    assert np.array_equal(hash_rows(selected), hash_rows(array[rows]))


# --- what is refused ---


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("part", ["X", "X of validation_data"])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize(("dtype", "order"), [("float32", "C"), ("float64", "C"), ("float64", "F")])
def test_a_bad_number_in_the_last_block_is_found(on_disk, dtype, order, bad, part):
    n_rows = 3 * CHECKED_AT_ONCE // 6
    X = np.ones((n_rows, 6), dtype)
    X[n_rows - 5, 4] = X[n_rows - 2, 0] = bad
    mapped, y = on_disk(X, order), np.zeros(n_rows, int)
    given = {"X": mapped, "y": y} if part == "X" else {"X": X[:9], "y": y[:9], "validation_data": (mapped, y)}
    with pytest.raises(
        ValueError, match=rf"{part} must be finite, got {bad} at \({n_rows - 5}, 4\) \(2 such values\). Impute"
    ):
        network().build(6, dtype="float32").fit(**given, loss="cross_entropy")


@pytest.mark.usefixtures("low_limit")
def test_a_number_too_large_for_the_network_is_found(on_disk):
    X = np.ones((50, 6))
    X[30, 2] = 1e300
    mapped = on_disk(X)
    with pytest.raises(ValueError, match=r"got 1e\+300, too large for float32, at \(30, 2\) \(1 such values\)"):
        network().build(6, dtype="float32").fit(mapped, CLASSES[:50], loss="cross_entropy")
    network().fit(mapped / 1e300, CLASSES[:50], loss="cross_entropy", epochs=1)


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("part", ["X", "X of validation_data"])
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (IMAGES[:, :5], ValueError, r"expects inputs of shape \(n_samples, 6\), got \(1500, 5\)"),
        (IMAGES.astype(complex), TypeError, "must be numbers, got an array of type complex128"),
    ],
)
def test_what_does_not_fit_is_refused(on_disk, X, error, message, part):
    net = network().build(6, random_state=0)
    before = net.parameter_vector.copy()
    mapped = on_disk(X)
    given = {"X": mapped} if part == "X" else {"X": IMAGES, "validation_data": (mapped, CLASSES)}
    with pytest.raises(error, match=message):
        net.fit(**given, y=CLASSES, loss="cross_entropy")
    assert np.array_equal(net.parameter_vector, before)


@pytest.mark.usefixtures("low_limit")
def test_a_divergence_names_the_largest_input(on_disk):
    X = IMAGES * 100.0
    regressor = MLPRegressor(
        hidden_layer_sizes=(8,), solver=SGD(1e9), early_stopping=True, random_state=0, shuffle=False
    )
    with warnings.catch_warnings(), pytest.raises(DivergenceError, match=r"the largest is 400\)"):
        regressor.fit(on_disk(X), X[:, 0])
    net = network().build(6, random_state=0, dtype="float32")
    with pytest.raises(DivergenceError, match=r"the largest is 4\)"):
        net.fit(on_disk(IMAGES), X[:, :3], loss="mean_squared_error", optimizer=SGD(1e30))
