"""Claims of notebook 6: they are asserted in its cells."""
