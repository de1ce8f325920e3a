"""Solutions to the exercises, a module for each notebook."""
