"""Engine: carries out the steps of training and inference, by formulas or by compiled kernels."""
