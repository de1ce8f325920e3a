"""What the text of notebook 8 claims, by the cell after which it is asserted."""

# %% noise
assert all(-0.55 < slope < -0.45 for slope in slopes.values())
assert noise["at the start"][3] < 0.8
assert noise["at the end"][3] > 1.2

# %% descents
assert flattest["constant 0.01"] > 0.7
assert flattest["constant 0.1"] < 0.3
assert final["constant 0.01"] < final["constant 0.1"] / 2
constant = min(final["constant 0.1"], final["constant 0.01"])
assert max(final["warm-up, cosine"], final["one cycle"]) < 0.75 * constant

# %% comparison
assert all(0 < column < 4 for column in best_columns.values()), "the best rate lies at an end of its grid"
for name in ("momentum", "AdamW"):
    assert best_losses[f"{name}, cosine"] < best_losses[name]

# %% decay
assert np.allclose(pull["AdamW, decoupled"], 1, rtol=1e-6)
assert np.allclose(np.median(pull["Adam, coupled"] * size[shown]), 1, atol=0.1)
assert spread[1] > 20 * spread[0]
assert kept[Adam] < 1e-6
assert np.isclose(kept[AdamW], (1 - 0.003 * decay) ** n_steps[AdamW], rtol=1e-9)

# %% few-rows-trainings
nothing, decayed, dropped, stopped = (np.mean(values) for values in test_losses.values())
assert max(decayed, dropped, stopped) < nothing
assert dropped < decayed < 0.98 * nothing
assert np.ptp([np.mean(values) for values in test_accuracies.values()]) < 0.01
assert (best_decay, best_rate) == (0.3, 0.8)
