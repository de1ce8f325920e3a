"""Plausible wrong answers to the exercises, a module for each notebook: checks must refuse them."""
