"""What the text of notebook 2 claims, by the cell after which it is asserted."""

# %% swap-the-import-code
assert tumours.shape == (569, 30) and patients.shape == (442, 10)
assert list(load_breast_cancer().target_names) == ["malignant", "benign"]
assert round(kinds.mean(), 2) == 0.63
assert (progression.min(), progression.max()) == (25, 346)

# %% swap-the-import-code-2
assert accuracy > 0.94
assert off < 1e-6
assert ours.score(X_test, y_test) > 0.3
assert np.allclose(ours.predict(X_test), theirs.predict(X_test), rtol=1e-6)

# %% was-it-worth-it-code
for scores in (accuracy, r2):
    assert all(len(values) == 20 for values in scores.values())
    assert np.allclose(scores["layernet"], scores["scikit-learn"], rtol=0, atol=1e-6)
    difference = scores["layernet"] - scores["linear"]
    standard_error = np.sqrt(1 / 20 + 1 / 4) * difference.std(ddof=1)
    assert abs(difference.mean()) < standard_error
    assert difference.std() < 0.9 * scores["linear"].std()

# %% a-band-in-place-of-a-number-code
assert 0.74 < inside.mean() < 0.8
assert (low < high).all()
assert wide > 1.3 * narrow

# %% errors-that-do-not-cost-the-same-code
assert not {"class_weight", "dropout"} & set(sklearn.neural_network.MLPClassifier().get_params())
assert search.best_params_["mlpclassifier__class_weight"] == {0: 10, 1: 1}
assert costs[2:].max() < 0.9 * costs[:2].min()
assert right[2:].max() < right[:2].min()

# %% a-validation-set-of-one-s-own-code
assert np.isclose(kept, curve[best]) and np.isclose(network.best_validation_score_, -curve[best])
assert curve[-1] > 1.2 * curve[best] and network.loss_curve_[-1] < network.loss_curve_[best] / 3
assert scores["until the training loss settles"] < 0 < 0.2 < scores["with validation"] < scores["linear"]

# %% a-network-of-one-s-own-code
assert search.best_score_ > 0.95
assert abs(search.best_score_ - accuracy["linear"].mean()) < accuracy["linear"].std()
