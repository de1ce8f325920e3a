"""Kernels: formulas of layers, losses and optimizers as loops, compiled to machine code."""
