"""What the text of notebook 6 claims, by the cell after which it is asserted."""

# %% eight-layers-that-learn-nothing-code
assert abs(seen_sigmoids.history["loss"][-1] - np.log(10)) < 0.05
assert accuracy(sigmoids) < 0.15

# %% eight-layers-that-learn-nothing-code-2
assert len(norms) == 9 and norms[0] < 1e-4 < norms[-1]
assert factors.min() > 3.5 and factors.max() < 5.5
assert seen_sigmoids.update_ratios[:, 0].max() < 1e-5
assert between_images.max() < 0.001

# %% where-the-factor-comes-from-code
assert 0.2 < min(slopes) and max(slopes) < 0.25
assert abs(np.exp(-np.log(factors).mean()) - np.mean(slopes)) < 0.03

# %% another-derivative-another-variance-code
for c, growth in growths.items():
    assert np.allclose(np.log(growth), 9.5 * np.log(c / 2), atol=1)

# %% normalise-on-the-way-code
assert np.allclose(before, after, atol=1e-3) and np.allclose(after.std(axis=0).max(), 1, atol=1e-3)
assert abs(slope / spread - 1.016) < 0.01

# %% three-networks-one-picture-code
assert min(accuracy(rectified), accuracy(normalized)) > 0.9
assert 0.3 < weights_gradients(seen_rectified)[0] / weights_gradients(seen_rectified)[-1] < 10
assert 0.3 < weights_gradients(seen_normalized)[0] / weights_gradients(seen_normalized)[-1] < 10

# %% three-networks-one-picture-code-2
assert [finding.symptom for finding in diagnose(seen_sigmoids)] == ["vanishing gradients"]
assert diagnose(seen_rectified) and diagnose(seen_normalized)

# %% units-that-die-code
assert dead["rate 1"][0] < 10 and dead["rate 1"][1] > 20 and dead["rate 1"][-1] > 45
assert max(dead["rate 0.1"][-1], dead["rate 1, BatchNorm"][-1]) < 10
assert accuracy(killed) + 0.03 < min(accuracy(careful), accuracy(held))

# %% units-that-die-code-2
assert {finding.symptom for finding in diagnose(seen["rate 1"][0])} >= {"dead ReLUs"}
assert diagnose(seen["rate 0.1"][0]) and diagnose(seen["rate 1, BatchNorm"][0])
assert is_dead.sum() > 40 and unmoved[is_dead].all()

# %% three-losses-that-stand-still-code
assert named == ["vanishing gradients", "labels shuffled", "learning rate too low"]
assert (
    still["A"].data_profile.neighbor_agreement > 0.9 and abs(still["B"].data_profile.neighbor_agreement) < 0.1
)
