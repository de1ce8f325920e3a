"""A small share of `benchmarks/doctor.py`: sound trainings and faulty ones, drawn by a seed."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "doctor.py"

# One training each; the script plants all faults, many times.
PLANTED = ["wrong gradient", "equal rows with different targets", "symmetric weights"]


@pytest.fixture(scope="module")
def trial():
    spec = importlib.util.spec_from_file_location("trial_of_the_doctor", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_sound_trainings_are_left_alone(trial):
    row = trial.sound_trainings(seed=100, n_trainings=2, show=False)
    assert (row.trainings, row.healthy) == (2, 2)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_are_named_first(trial, name):
    row = trial.faulty_trainings(seed=100, name=name, n_trainings=1, show=False)
    assert (row.trainings, row.healthy, row.first) == (1, 0, 1)
