"""Obstacles outside the weights: wrong gradients, outputs out of reach, noise, decay, schedules, rows.

Thresholds lie, as in `illnesses`, inside the gap between sound trainings and sick ones.
"""

from __future__ import annotations

import math

import numpy as np

from layernet.checking.gradients import GradientReport
from layernet.monitoring.evidence import Evidence, Finding, counted, listed, quantile
from layernet.monitoring.own_layers import CHECKED_ROWS

# The part of what there is to be learned that outputs in their range cannot reach. A range that fits the
# targets leaves 0; standardized targets leave 0.15 above tanh and 0.5 below a rectifier.
OUT_OF_REACH = 0.05

# The share of outputs that the loss would have beyond a bound of theirs. For logits of k classes it is
# (k - 1) / k above a rectifier; targets that are never beyond it leave 0.
PUSHED = 0.05
END = "activation at the end"

# The share of the targets' variance between rows with equal inputs. It is 1 for labels drawn independently, and
# 0.36 for two classes of which one label in ten is wrong.
CONTRADICTORY = 0.4

# The share of the targets' variance between batches: about 0 for shuffled rows, and above 0.8 for sorted ones.
IN_ORDER = 0.5
# Numbers that only drift over time stay below this.
SORTED = 0.9
# What is left of the loss where the order did no harm.
UNHARMED = 0.1

# The share of signal in what comes out of a layer with noise: 0.5 to 0.9 for the usual rates of dropout
# (Srivastava et al., 2014), 0.05 for a rate of 0.95, 0.01 for noise of ten times the signal.
SIGNAL_LOST = 0.1
# What is left of the loss where a network learned in spite of noise, decay or a rate of 0.
COPED = 0.25

# The pull of weight decay divided by that of the loss. Usual decays (1e-4 for SGD, 0.01 for AdamW) pull with
# 0.001 to 0.05 of the loss's force. At rest coupled decay and the loss pull alike, whatever the decay: so the
# weights must have shrunk much as well. Steps of a decoupled optimizer do not shrink at rest, and a pull of far
# more than 1 is no rest: the weights must only have shrunk at all, for where the loss is flat the smallest
# decay pulls more.
PULLED = 0.5
PULLED_FAR = 3.0
SHRUNK_MUCH = 0.5
SHRUNK = 0.9
COLLAPSED = 1e-3

# A learning rate below this part of the largest moves nothing; a schedule that ends at 0 is there in the last
# tenth.
RATE_GONE = 0.01
MOST_STEPS = 0.5


def wrong_gradients(evidence: Evidence) -> list[Finding]:
    """A backward pass that the user wrote contradicts its forward pass."""
    wrong: dict[str, GradientReport] = {}
    for trial in evidence.monitor.trials:
        wrong = {name: report for name, report in trial.gradients.items() if not report} | wrong
    found = []
    for name, report in wrong.items():
        is_loss = name == evidence.monitor.loss_name
        passes = ("gradient", "losses") if is_loss else ("backward_pass", "forward_pass")
        figure = (
            f"{passes[0]} of {name} contradicts {passes[1]}: {_worst(report)} "
            f"(gradient check on {CHECKED_ROWS} rows of the data)."
        )
        advice = (
            f"Derive {passes[0]} again. check_gradients(layer, inputs) shows which entries are wrong; here it "
            "tried random directions."
        )
        found.append(Finding("wrong gradient", name, figure, advice))
    return found


def _worst(report: GradientReport) -> str:
    worst = report.worst
    if worst.analytic == 0:
        says = f"it is exactly 0 where differences give a slope of {worst.numeric:.3g}"
    else:
        says = f"it says {worst.analytic:.3g} where differences give {worst.numeric:.3g}"
    wrong = [name for name, error in report.errors.items() if not error.error <= report.tolerance]
    return f"for {' and '.join(wrong)} {says}, a relative error of {worst.error:.2g}"


def no_gradient(evidence: Evidence) -> list[Finding]:
    """The gradient of a layer is exactly 0 in every step, so that it never learns."""
    monitor = evidence.monitor
    layers = [index for index, has in enumerate(monitor.has_weights) if has]
    norms = monitor.gradient_norms[:, layers]
    if len(norms) < 2 or monitor.learning_rates.max(initial=0) == 0:
        return []
    names = [name for name, column in zip(evidence.names, norms.T, strict=True) if not column.any()]
    if not names:
        return []
    after = [name for name in evidence.names if name not in names]
    where = f"; that of {after[0]} is not" if after else ""
    figure = (
        f"the gradient of the weights of {listed(names)} was exactly 0 in each of {len(norms)} steps{where}."
    )
    advice = (
        f"Look at what lies between {names[-1]} and the loss: a backward pass that returns 0, an activation "
        "that is flat for all rows, weights of 0, or inputs that are all 0."
    )
    return [Finding("no gradient", names[-1], figure, advice)]


def unreachable_targets(evidence: Evidence) -> list[Finding]:
    """The network's end leaves its outputs a range that the targets do not lie in."""
    material, monitor = evidence.material, evidence.monitor
    if material.reachable is None:
        return []
    share = evidence.part(material.reachable)
    if not share > OUT_OF_REACH:
        return []
    kind = _kind_of_end(evidence)
    low, high = float(material.low.min()), float(material.high.max())
    targets = ""
    if material.n_classes is None:
        outside = (material.targets < material.low) | (material.targets > material.high)
        targets = (
            f", and targets from {material.targets.min():.3g} to {material.targets.max():.3g} "
            f"({outside.mean():.0%} of them outside)"
        )
    figure = (
        f"after {kind} outputs lie between {_end(low)} and {_end(high)}{targets}: the loss cannot fall below "
        f"{material.reachable:.3g}, {share:.0%} of {evidence.baseline_words}; it ended at {evidence.end:.3g}."
    )
    advice = (
        f"Leave out {kind}, so that the network ends in a layer with weights; or bring the targets into the "
        "range of the outputs."
    )
    return [Finding("outputs cannot reach the targets", monitor.end_name, figure, advice)]


def _end(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else ("infinity" if value > 0 else "-infinity")


def stuck_logits(evidence: Evidence) -> list[Finding]:
    """An activation bounds what the loss would have beyond, and holds outputs where no gradient moves them."""
    end = evidence.end_after_training
    if end is None or not end.pushed > PUSHED:
        return []
    return _stuck(evidence, _without(evidence))


def stuck_numbers(evidence: Evidence) -> list[Finding]:
    """An activation suits the targets, and holds outputs where no gradient moves them."""
    end = evidence.end_after_training
    if end is None or end.pushed > PUSHED:
        return []
    advice = (
        f"Begin with a bias that keeps outputs off the bound, use a smaller learning rate, or leave out "
        f"{_kind_of_end(evidence)}."
    )
    return _stuck(evidence, advice)


def _stuck(evidence, advice):
    end, kind = evidence.end_after_training, _kind_of_end(evidence)
    if not end.stuck:
        return []
    numbers = [str(index) for index in end.stuck[:5]] + (["others"] if len(end.stuck) > 5 else [])
    lie = "lies" if len(end.stuck) == 1 else "lie"
    figure = (
        f"{len(end.stuck)} of {counted(end.n_outputs, 'output')} ({listed(numbers)}) {lie} where the slope of "
        f"{kind} is 0, for most of the rows that {evidence.monitor.loss_name} pulls away from there; the loss "
        f"ended at {evidence.end:.3g}, {evidence.level:.0%} of {evidence.baseline_words}."
    )
    return [Finding(END, evidence.monitor.end_name, figure, advice)]


def bounded_end(evidence: Evidence) -> list[Finding]:
    """A network ends in an activation that bounds outputs which the loss would have beyond: a note."""
    end, material = evidence.end_after_training, evidence.material
    if end is None or not end.pushed > PUSHED:
        return []
    figure = (
        f"after {_kind_of_end(evidence)} outputs lie between {_end(float(material.low.min()))} and "
        f"{_end(float(material.high.max()))}; were all at that bound, {evidence.monitor.loss_name} would have "
        f"{end.pushed:.0%} of them beyond."
    )
    return [Finding(END, evidence.monitor.end_name, figure, _without(evidence))]


def bounded_end_that_harms(evidence: Evidence) -> list[Finding]:
    """The same where much of the loss is left, and nothing else is to blame."""
    return bounded_end(evidence) if evidence.level > COPED else []


def _without(evidence):
    kind, loss = _kind_of_end(evidence), evidence.monitor.loss_name
    return f"Leave out {kind}: {loss} takes any numbers, as a layer with weights gives them."


def _kind_of_end(evidence):
    return evidence.monitor.end_name.split(" ", 1)[-1]


def inputs_do_not_vary(evidence: Evidence) -> list[Finding]:
    """All rows are the same, so that nothing can be told from them."""
    material = evidence.material
    if not material.inputs_are_equal:
        return []
    figure = (
        f"all {len(material.means)} features are constant over {len(material.inputs)} rows: their largest "
        f"standard deviation is {material.deviations.max():.1g}, at values of up to "
        f"{material.sizes.max():.3g}."
    )
    advice = (
        "Look at how the inputs were made: from rows that are all the same nothing can be told apart. If "
        "they do differ in their last digits, subtract the mean of each feature and divide by its standard "
        "deviation."
    )
    return [Finding("inputs do not vary", None, figure, advice)]


def contradictory_rows(evidence: Evidence) -> list[Finding]:
    """Rows with the same inputs have different targets."""
    share = evidence.material.contradictions
    if not (share > CONTRADICTORY and evidence.level > COPED):
        return []
    figure = (
        f"rows with equal inputs have different targets: {min(share, 1):.0%} of the variance of the targets "
        f"lies between such rows, and no network can explain it; the loss ended at {evidence.end:.3g}."
    )
    advice = (
        "Look at some of these rows: are labels wrong, was a column left out that tells them apart, or were "
        "numbers rounded? If the targets are random for these inputs, this loss is the best there is."
    )
    return [Finding("equal rows with different targets", None, figure, advice)]


def rows_in_order(evidence: Evidence) -> list[Finding]:
    """Batches hold rows of one class, or of similar targets, so that each step undoes the one before."""
    share, material = evidence.monitor.batch_order, evidence.material
    if share is None or not share > IN_ORDER:
        return []
    are_classes = material.n_classes is not None
    if not evidence.level_of_sample > (UNHARMED if are_classes or share > SORTED else COPED):
        return []
    what = "class" if are_classes else "target"
    figure = (
        f"{share:.0%} of the variance of the targets lies between the batches of an epoch (0% for shuffled "
        f"rows); for rows of all batches together the loss is {_loss_of_sample(evidence)} in the end, and "
        f"{evidence.end:.3g} in the batches."
    )
    advice = "Shuffle the rows: shuffle=True, which is the default. Steps on one kind of rows undo the others'."
    return [Finding(f"rows in the order of their {what}{'es' if are_classes else 's'}", None, figure, advice)]


def _loss_of_sample(evidence):
    looks = evidence.monitor.looks
    return f"{looks[-1].loss:.3g}" if looks and looks[-1].loss is not None else "unknown"


def too_much_noise(evidence: Evidence) -> list[Finding]:
    """Dropout or noise leaves too little of the signal to learn from."""
    trials = evidence.monitor.trials
    if not trials or not trials[-1].signals:
        return []
    trial = trials[-1]
    name = min(trial.signals, key=lambda each: trial.signals[each])
    share = trial.signals[name]
    drowned = share < SIGNAL_LOST and evidence.level > COPED
    # Several layers with some noise each may add up.
    together = math.prod(trial.signals.values())
    faded = max(together, trial.signal) < SIGNAL_LOST and evidence.learned_little
    if not (drowned or faded):
        return []
    outputs = f", and {trial.signal:.0%} of the outputs" if trial.signal == trial.signal else ""
    figure = (
        f"{share:.1%} of what comes out of {name} is signal{outputs}; the rest differs from one draw of the "
        f"noise to the next. The loss ended at {evidence.end:.3g}, {evidence.level:.0%} of "
        f"{evidence.baseline_words}."
    )
    advice = (
        "Use less of it: dropout rates of 0.1 to 0.5 and noise of a tenth to a half of the inputs' deviation "
        "are usual. Begin without."
    )
    kind = "dropout" if "Dropout" in name else "noise"
    return [Finding(f"too much {kind}", name, figure, advice)]


def weight_decay_too_strong(evidence: Evidence) -> list[Finding]:
    """Weight decay pulls the weights of a layer to 0 faster than the loss moves them away."""
    monitor = evidence.monitor
    if not (monitor.has_weight_decay and evidence.level > COPED and len(monitor.steps)):
        return []
    late = monitor.steps > monitor.steps_done / 2
    pulls = monitor.decay_pulls[late] if late.any() else monitor.decay_pulls
    worst = None
    for index, (name, has) in enumerate(zip(monitor.layers, monitor.has_weights, strict=True)):
        start, end = monitor.weight_norms[[0, -1], index]
        pull, shrunk = quantile(pulls[:, index], 0.5), end / start if start > 0 else 1.0
        rules = pull > PULLED_FAR or (monitor.decay_is_decoupled and pull > PULLED)
        strong = (rules and shrunk < SHRUNK) or (pull > PULLED and shrunk < SHRUNK_MUCH) or shrunk < COLLAPSED
        if has and strong and (worst is None or shrunk < worst[0]):
            worst = shrunk, name, pull, start, end
    if worst is None:
        return []
    _, name, pull, start, end = worst
    pulled = f"pulls {pull:.2g} times as much as the loss" if np.isfinite(pull) else "pulls alone"
    figure = (
        f"weight decay {pulled} in the median step of the second half (0.001 to 0.05 is usual), and the "
        f"weights of {name} went from a norm of {start:.3g} to {end:.2g}; the loss ended at "
        f"{evidence.end:.3g}, {evidence.level:.0%} of {evidence.baseline_words}."
    )
    advice = "Divide the weight decay (alpha, in an estimator) by 100, or begin without: weight_decay=0."
    return [Finding("weight decay too strong", name, figure, advice)]


def learning_rate_gone(evidence: Evidence) -> list[Finding]:
    """A schedule has brought the learning rate to 0 long before the end."""
    monitor = evidence.monitor
    rates, steps = monitor.learning_rates, monitor.steps
    if not len(rates) or not np.isfinite(rates).all() or not evidence.level > COPED:
        return []
    largest, name = float(rates.max()), "learning rate fell to 0"
    alive = np.flatnonzero(rates > RATE_GONE * largest)
    if largest == 0:
        name = "learning rate is 0"
        figure = (
            f"the learning rate was 0 in all {len(rates)} steps that were looked at, so that no weight moved."
        )
    else:
        last = int(steps[alive[-1]])
        gone = 1 - last / monitor.steps_done
        if not gone > MOST_STEPS:
            return []
        figure = (
            f"the learning rate was {largest:.2g} at most, and below a hundredth of it in the last {gone:.0%} "
            f"of {monitor.steps_done:,} steps ({rates[-1]:.1g} in the end); the loss ended at "
            f"{evidence.end:.3g}, {evidence.level:.0%} of {evidence.baseline_words}."
        )
    advice = (
        "Let the schedule fall more slowly: set its length to the number of steps or epochs that you train "
        "for, or leave it out."
    )
    return [Finding(name, None, figure, advice)]
