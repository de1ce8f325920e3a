"""Claims of notebook 9: they are asserted in its cells."""
