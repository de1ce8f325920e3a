"""The kernels: formulas of layers, losses and optimizers as loops."""
