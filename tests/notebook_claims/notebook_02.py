"""Claims of notebook 2: they are asserted in its cells."""
