"""Claims of notebook 4: they are asserted in its cells."""
