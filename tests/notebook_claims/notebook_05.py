"""What the text of notebook 5 claims, by the cell after which it is asserted."""

# %% what-one-neuron-sees-code
on_the_line = direction + np.outer([-2, 0, 1.5], [-0.6, 0.8])
for one, _ in neurons.values():
    assert np.ptp(one.forward_pass(on_the_line)) < 1e-12  # one value along the whole line
soft, steep, folded = (one for one, _ in neurons.values())
assert np.allclose(steep.forward_pass(on_the_line), 0.5)
assert np.allclose(folded.forward_pass([0.5 * direction, 2 * direction, 3 * direction]), [[0], [1], [2]])

# %% how-the-output-adds-them-up-code
assert np.allclose(parts.sum(axis=1) + small[2].bias, small.forward_pass(points)[:, 0])
assert history["accuracy"][-1] > 0.95
assert small[2].bias[0] < -1

# %% neurons-that-move-code
assert measurements.shape == (178, 13) and len(set(grower)) == 3
assert length_after > 1.5 * length_before
assert accuracy > 0.93 and abs(accuracy - linear) < 0.03
assert loss[10] < 0.4 * loss[1] and loss[30] - loss[100] < 0.1 * loss[1]

# %% what-the-learning-rate-does-code
assert LogisticRegression().fit(X, y).score(X, y) < 0.8

# %% what-the-learning-rate-does-code-2
assert moved[0.01] < moved[1.0] / 3
assert recorders[1.0].frames[1].loss > losses[0.01] > recorders[1.0].frames[2].loss
assert losses[0.01] > 0.4 and losses[1.0] < 0.05 and losses[6.0] > 0.2
assert dead[0.01] == 0 and dead[1.0] <= 2 and dead[6.0] >= 5

# %% finding-a-rate-code
assert 0.2 < search.suggestion < 3

# %% finding-a-rate-code-2
assert with_suggestion < mean.min() + 0.1
assert mean[0] > 4 * mean.min() and mean[-1] > 4 * mean.min()
assert 0.3 < tried[mean.argmin()] < 4

# %% how-many-neurons-does-the-spiral-nee-code
assert 7 <= pieces <= 22
assert max(scores[2]) < 0.9 < max(scores[6]) and min(scores[12]) > 0.93
assert np.mean(scores[2]) < np.mean(scores[4]) < np.mean(scores[8])
