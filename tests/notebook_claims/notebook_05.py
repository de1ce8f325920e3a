"""Claims of notebook 5: they are asserted in its cells."""
