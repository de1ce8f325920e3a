"""The engine: the steps of training, computed by formulas or by kernels."""
