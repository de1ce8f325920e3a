"""What the text of notebook 1 claims, by the cell after which it is asserted."""

# %% the-two-passes-code
assert f"{slope.max():.4f}" == "0.2500"
assert f"{slope[0, 0]:.4f}" == f"{slope[0, -1]:.4f}" == "0.0025"

# %% is-the-gradient-right-code
for report in reports:
    assert report
    assert report.worst.error < 1e-8

# %% is-the-gradient-right-code-2
# Within a factor of 5 of the formula wherever a step moves the weights, and 10 % where truncation dominates.
for errors, rounding, smallest in ((single, single_rounding, 1e-7), (double, double_rounding, 0)):
    ratio = (errors / (rounding + truncation))[steps > smallest]
    assert ratio.min() > 1 / 5 and ratio.max() < 5
    assert (np.abs(errors / truncation - 1)[-4:] < 0.1).all()
    assert abs(np.log10(steps[errors.argmin()] / steps[(rounding + truncation).argmin()])) < 0.7
assert np.allclose(single[steps < 1e-8], 1) and np.isclose(steps[30], 0.01)
assert 1e-6 < steps[double.argmin()] < 1e-4 and double.min() < 1e-9
assert 1e-3 < steps[single.argmin()] < 1e-1 and 1e-6 < single.min() < 1e-3
assert 200 < steps[single.argmin()] / steps[double.argmin()] < 5000

# %% a-planted-bug-code
assert not forgetful and forgetful.worst.error > 0.1
assert as_measured and not with_mean_0 and (measurements[:6] > 0).all()

# %% a-planted-bug-code-2
assert len(report.kept) == 15
assert check_layer(WeightedSum(3), input_shape=4)

# %% three-hidden-layers-on-digits-code
for history in (right, shallow, wrong):
    assert min(history["loss"]) < history["loss"][0] - 0.15
assert right["val_accuracy"][-1] > 0.92
assert 0.5 < shallow["val_accuracy"][-1] < 0.9 and wrong["val_accuracy"][-1] < 0.5

# %% three-hidden-layers-on-digits-code-2
assert wrong_arrays["trained"] == [] and len(wrong_arrays["forgetful"]) == 7
assert not {"0.6.weights", "0.6.bias"} & set(wrong_arrays["forgetful"])
assert net.parameter_vector.size == 64 * 64 + 64 + 64 * 48 + 48 + 48 * 32 + 32 + 32 * 10 + 10 == 9178

# %% three-hidden-layers-on-digits-code-3
assert are_equal
