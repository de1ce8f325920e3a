"""Run scikit-learn's own tests of its perceptrons, as they are installed, on this package's estimators.

    python tests/scikit_learn_tests.py            all of them
    python tests/scikit_learn_tests.py --quick    without those that take 0.4 seconds or more

Ends with code 0 if exactly those fail that are listed below, each with the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path

import pytest
import sklearn.neural_network

import layernet

MODULE = "sklearn.neural_network.tests.test_mlp"
# Attributes of scikit-learn's own code, not of its interface.
PRIVATE = {
    "test_fit": "sets weights and gradients by private attributes",
    "test_gradient": "calls a private method",
    "test_n_iter_no_change": "reads a private counter after all else has passed",
    "test_n_iter_no_change_inf": "reads a private counter after all else has passed",
}
# The rows of docs/scikit-learn.md that these tests meet.
DIFFERENT = {
    "test_mlp_diverging_loss": "expects a model of a fit that diverged",
    "test_preserve_feature_names[MLPClassifier]": "fits a classifier to one class",
}
SLOW = (
    "test_partial_fit_classification",
    "test_warm_start",
    "test_n_iter_no_change_inf",
    "test_partial_fit_regression",
    "test_mlp_vs_poisson_glm_equivalent",
    "test_predict_proba_multilabel",
    "test_multioutput_regression",
    "test_lbfgs_regression",
    "test_lbfgs_classification",
)


class Outcomes:
    """A plugin of pytest that keeps which tests passed, and what the others failed with."""

    def __init__(self, left_out: tuple[str, ...]):
        self.left_out = left_out
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.failed[name] = str(report.longrepr).strip().splitlines()[-1]
        elif report.when == "call" and report.passed:
            self.passed.append(name)

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.originalname not in self.left_out]


def run(left_out: tuple[str, ...]) -> Outcomes:
    """Run the tests with this package's estimators in the place of scikit-learn's.

    Parameters
    ----------
    left_out : tuple of str
        Names of test functions.

    Returns
    -------
    Outcomes
    """
    for name in ("MLPClassifier", "MLPRegressor"):  # before the tests import them
        setattr(sklearn.neural_network, name, getattr(layernet, name))
    sys.dont_write_bytecode = True
    outcomes = Outcomes(left_out)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        settings = Path(folder, "pytest.ini")  # not this project's: its warnings are errors
        settings.write_text("[pytest]\n", encoding="utf-8")
        options = ["-c", str(settings), "--rootdir", folder, "-p", "no:cacheprovider", "--tb=line"]
        pytest.main([*options, "--pyargs", MODULE], plugins=[outcomes])
    return outcomes


def main() -> int:
    """Run, and compare with what is expected to fail."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    left_out = SLOW if parser.parse_args().quick else ()
    outcomes = run(left_out)
    known = {name: why for name, why in {**PRIVATE, **DIFFERENT}.items() if name not in left_out}
    for name, message in outcomes.failed.items():
        print(f"{'known' if name in known else 'FAILED'}: {name}: {known.get(name, message)}")
    for name in known.keys() - outcomes.failed.keys():
        print(f"FAILED: {name}: was expected to fail, and passed or did not run")
    print(f"{len(outcomes.passed)} passed, {len(outcomes.failed)} failed, {len(known)} of these known.")
    return 0 if outcomes.passed and outcomes.failed.keys() == known.keys() else 1


if __name__ == "__main__":
    sys.exit(main())
