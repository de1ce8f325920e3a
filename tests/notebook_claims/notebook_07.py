"""What the text of notebook 7 claims, by the cell after which it is asserted."""

# %% descend
assert 460 < condition < 480
assert 0.49 < bound_of_rate < 0.50
# The first step is the formula, and the gradient that the package computes is H (w - w*).
path = descend(patients, SGD(0.1), 1, start=1.0)
assert np.allclose(path[1], path[0] - 0.1 * hessian @ (path[0] - minimum), rtol=1e-10)
assert f"{growth:.4f}" == f"{(1 - 2.02) ** 2:.4f}" == "1.0404"
assert np.all(np.diff(half) < 0)
assert np.all(np.diff(curves[0.99]) < 0)
assert curves[1.01][-1] > curves[1.01][0]
assert f"{half[20] / half[0]:.2%}" == "0.69%"
assert f"{half[200] / half[0]:.2%}" == "0.31%"

# %% valley
assert f"{correlation:.2f}" == "0.90"
across, along = ((fast - lowest) @ directions[:, 1])[:20], ((fast - lowest) @ directions[:, 0])[:20]
assert np.all(across[1:] * across[:-1] < 0)
assert np.all(along[1:] * along[:-1] > 0)
assert f"{left[0] / left[1]:.0f}" == "237"
assert (steps["descent"], steps["momentum"]) == (1565, 132)

# %% by-hand
assert len(differences) == 5
assert max(differences.values()) < 1e-13

# %% bias-correction-code
assert np.allclose(np.divide(uncorrected, taken), factor, rtol=1e-2)
assert worst == 12
assert f"{factor[0]:.2f} {factor.max():.2f}" == "3.16 6.57"
assert max(taken) <= 1

# %% rotated-valley
assert np.allclose(ends["SGD"][0], ends["SGD"][1], rtol=1e-8)
assert ends["RMSProp"][1][-1] < 1e-3 * ends["RMSProp"][0][-1]

# %% paths
assert all(path.shape == (241, 610) and np.array_equal(path[0], origin) for path in paths.values())
for name in ("momentum", "Adam"):
    assert np.isclose(end_losses[name], projected_losses[name], rtol=1e-9)
assert end_losses["AdamW"] > 1.5 * end_losses["Adam"]
assert 0.85 < together <= best_of_all < 0.98
assert all_walks < 0.45
assert one_walk > 0.8
assert min(share_of_plane(plane, path - origin) for path in paths.values()) > 0.75
assert max(abs(angle[name]) for name in ("SGD", "momentum")) < 10
assert min(angle[name] for name in ("RMSProp", "Adam", "AdamW")) > 20
length = {name: np.linalg.norm(path[-1] - origin) for name, path in paths.items()}
between = np.linalg.norm(paths["momentum"][-1] - paths["Adam"][-1])
assert 0.8 < between / length["momentum"] < 1.2
assert length["AdamW"] < 0.8 * length["Adam"]
projection = projections["AdamW"]
assert np.linalg.norm(projection[-1] - projection[-49]) < np.linalg.norm(projection[48] - projection[0]) / 8

# %% paths-picture
assert abs(heights.min() - 0.08) < 0.03
assert heights.max() > 2

# %% comparison
assert all(0 < column < 4 for column in best.values()), "the best rate lies at an end of its grid"
assert min(means.values()) > 0.94
assert gap < 2 * np.hypot(spread, sampling)
assert max(best_losses) < 1.6 * min(best_losses)
assert min(along_a_row) > 1.2
scaled = [best_rates[name] for name in ("RMSProp", "Adam", "AdamW")]
assert best_rates["SGD"] > 10 * max(scaled)
assert max(scaled) < 4 * min(scaled)
