"""Checks of the notebooks' exercises: `check("3.1", answer)` tests an answer and says how it differs.

The checks of notebook 3 are in `notebook_03.py`. They are imported
when an exercise of that notebook is checked.
"""

from layernet.exercises.grading import CheckResult, Grader, NotAnsweredError
from layernet.exercises.registry import check, exercise

__all__ = ["CheckResult", "Grader", "NotAnsweredError", "check", "exercise"]
