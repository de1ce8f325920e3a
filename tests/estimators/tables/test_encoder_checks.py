"""TableEncoder: scikit-learn's checks, in configurations that reach each kind of column."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from layernet import TableEncoder


class OfNumbers(TableEncoder):
    """For the tag "categorical", the checks round their numbers; without it they do not."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = False
        return tags


ENCODERS = [
    TableEncoder(),
    TableEncoder(max_one_hot=3, min_count=1),
    OfNumbers(),
    OfNumbers(categories=[0], max_one_hot=2, max_levels=5),
]


def each_check():
    for number, estimator in enumerate(ENCODERS):
        for same, check in estimator_checks_generator(estimator):
            if check.func.__name__ == "check_array_api_input":
                continue  # for classes that declare support of the array API; needs an environment variable
            yield pytest.param(same, check, id=f"{number}-{check.func.__name__}")


@pytest.mark.parametrize(("estimator", "check"), list(each_check()))
def test_check(estimator, check):
    check(estimator)


def test_nothing_is_claimed_that_would_excuse_a_check():
    tags = TableEncoder().__sklearn_tags__()
    assert tags.input_tags.two_d_array
    assert tags.input_tags.allow_nan
    assert tags.input_tags.sparse
    assert tags.input_tags.categorical
    assert not tags.input_tags.string  # would accept any object, such as a dictionary
    assert not tags.no_validation
    assert not tags._skip_test
    assert not tags.non_deterministic
