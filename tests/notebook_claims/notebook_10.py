"""What the text of notebook 10 claims, by the cell after which it is asserted."""

# %% the-table-code
assert set(X.columns[X.isna().any()]) == {"sex", "hindfoot_length", "weight"}
assert X["plot_id"].nunique() <= 24

# %% baselines-code
shares_accuracy, shares_loss = scores(p_of["shares"]).mean(axis=0)
linear_accuracy, linear_loss = scores(p_of["logistic regression"]).mean(axis=0)
assert linear_accuracy > shares_accuracy + 0.05
assert linear_loss < 0.7 * shares_loss

# %% one-fit-code
assert len(classifier.report_.networks) == 5
kinds = {column.name: column.kind for column in classifier.report_.columns}
assert list(kinds.values()) == ["date", "number", "category", "category", "number", "number"]
loss_of_numbers = log_loss(is_ordii, classifier.oof_predictions_[:, 1])

# %% override-code
kinds = {column.name: column.kind for column in classifier.report_.columns}
assert kinds["plot_id"] == "category"
loss_of_levels = log_loss(is_ordii, classifier.oof_predictions_[:, 1])
assert 0 < loss_of_numbers - loss_of_levels < 0.04
oof_accuracy = classifier.oof_score_

# %% comparison-code
(accuracy, loss), (accuracy_error, loss_error) = difference_of["logistic regression"]
assert loss + loss_error < -0.02
assert abs(accuracy) < 1.5 * accuracy_error
(accuracy, loss), (accuracy_error, loss_error) = difference_of["boosting"]
assert abs(loss) < loss_error
assert abs(accuracy) < accuracy_error
assert abs(oof_accuracy - scores_of["TabularClassifier"][:, 0].mean()) < 0.03

# %% calibration-code
distance = {name: values[0] for name, values in calibration_error.items()}
assert distance["logistic regression"] < distance["TabularClassifier"] < distance["boosting"] < 0.03
assert all(0.008 < by_chance < 0.015 for _, by_chance in calibration_error.values())
lowest = p_of["TabularClassifier"].argsort()[:300]
assert p_of["TabularClassifier"][lowest].mean() > is_ordii[lowest].mean() + 0.003
lowest = p_of["boosting"].argsort()[:300]
assert p_of["boosting"][lowest].mean() < is_ordii[lowest].mean()

# %% importances-code
assert list(importances.index[::-1][:3]) == ["plot_id", "weight", "date"]
assert importances["plot_id"] > 0.4

# %% interval-code
assert abs(inside.mean() - 0.9) < 2 * np.sqrt(0.9 * 0.1 / len(test))
assert below > 2 * ((~inside).sum() - below)

# %% a-later-year-code
assert all(later_scores[name][1] > scores_of[name][:, 1].mean() + 0.02 for name in p_later)
