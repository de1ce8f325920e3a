"""What the text of notebook 9 claims, by the cell after which it is asserted."""

# %% is-it-right-code
assert verdict and set(verdict.errors) == {"inputs", "frequencies", "phases"}
assert report and len(report.kept) == 15

# %% three-mistakes-code
assert np.isclose(off.numeric / off.analytic, len(inputs), rtol=1e-4) and len(inputs) == 6
assert wrong == {WithoutCosine: {"frequencies"}, MeanInsteadOfSum: {"phases"}, StoresAngles: set()}
assert all("The gradients" in broken[mistake][0] for mistake in (WithoutCosine, MeanInsteadOfSum))
assert not any("The gradients" in law for law in broken[StoresAngles])
assert any("works on a fresh layer" in law for law in broken[StoresAngles])

# %% reuse-that-is-allowed-code
assert counts == {"SimplePeriodic": 2, "Periodic": 1}

# %% into-a-network-code
assert past.sum() == 360 and hidden.sum() == 372
assert losses[Periodic] < 0.2 < 0.8 < losses[Dense]

# %% into-scikit-learn-code
assert np.array_equal(again.predict(X), best.predict(X))
assert repr(Periodic(128, spread=4.0)) == "Periodic(128, spread=4.0)"
assert "network__0__spread" in best.regressor_.get_params()
assert clone(best).regressor.network is not best.regressor.network
assert errors[0].min() > errors[1].min() + 0.5

# %% against-dense-code
assert np.median(errors["Periodic"]) < 0.75 * min(np.median(errors[n]) for n in ("Dense, ReLU", "Dense, Tanh"))
assert (errors["Periodic"] < 0.9 * dense_at_best).sum() >= 8
assert dense_at_best > 0.9 * error_of_mean
assert all(found[name].best_params_["regressor__alpha"] > 0 for name in ("Dense, ReLU", "Dense, Tanh"))
assert 1.05 < np.median(errors["Periodic"]) / error_of_months < 1.4
assert np.median(in_step) > 0.8
assert set(np.floor(warmest)) <= {1982, 1983, 1997, 1998}

# %% against-dense-code-3
assert abs(np.median(periods) - 12) < 0.06
assert max(len(units) for units in large_units) < 10
assert np.allclose(np.concatenate(large_units), 1, atol=0.01)

# %% where-it-does-not-win-code
assert 0.85 < total["periodic"] / total["mean"] < 1.15
assert total["regression"] < 0.85 * min(total["periodic"], total["mean"])
assert all(part["past"] < 0.45 * error(part, "periodic") for part in parts)
assert (lengths.min(), lengths.max()) == (9, 14)
