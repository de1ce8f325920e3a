"""Claims of notebook 1: they are asserted in its cells."""
