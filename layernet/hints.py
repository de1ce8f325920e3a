"""Names that users of other packages try, and what does the same here."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

# Methods and attributes of a network.
NETWORK_HINTS = {
    **dict.fromkeys(
        ("forward", "call"),
        "Outputs are net.forward_pass(inputs), or net.predict(inputs) in inference mode; "
        "NetworkClassifier and NetworkRegressor predict labels and numbers.",
    ),
    **dict.fromkeys(
        ("predict_proba", "predict_classes", "score"), "Wrap the network: NetworkClassifier(net).fit(X, y)."
    ),
    "backward": "Gradients are net.backward_pass(inputs, grad_output).",
    **dict.fromkeys(
        ("save", "save_weights", "load", "load_weights"),
        "A network is pickled as it is: pickle.dump(net, file), pickle.load(file). Its arrays alone are "
        "net.parameters and net.state().",
    ),
    **dict.fromkeys(
        ("state_dict", "load_state_dict", "get_weights", "set_weights", "named_parameters", "params", "coefs_"),
        "Arrays by name are net.parameters (assigning to an item changes the network) and net.state().",
    ),
    "compile": "The loss, the optimizer and metrics are arguments of net.fit.",
    **dict.fromkeys(
        ("train", "eval"), "Inference is the default; training mode holds inside `with net.training_mode():`."
    ),
    "evaluate": "Use layernet.evaluate(net, X, y, loss=..., metrics=...).",
    "zero_grad": "Nothing has to be set to zero: backward_pass overwrites gradients.",
    **dict.fromkeys(
        ("train_on_batch", "partial_fit"), "Training goes on with each call of net.fit(..., epochs=1)."
    ),
    **dict.fromkeys(
        ("add", "add_module"), "Give all layers to Sequential([...]), or use append before building."
    ),
    **dict.fromkeys(("modules", "children", "named_modules"), "All layers, depth first, are list(net.walk())."),
    **dict.fromkeys(("to", "double", "half", "cuda"), "net.astype(dtype) computes in another type; on a CPU."),
}

# Attributes of other packages' layers. Assigning one of them to a layer of this package would have no effect.
LAYER_ASSIGNMENT_HINTS = {
    **dict.fromkeys(
        ("trainable", "requires_grad", "requires_grad_", "frozen"),
        "No switch freezes a layer. The layers from k on alone are trained by "
        "net[k:].fit(net[:k].forward_pass(X), y, ...), which shares their parameters with net.",
    ),
    **dict.fromkeys(("weight", "kernel"), "The parameter is called `weights`: layer.weights = array."),
    "biases": "The parameter is called `bias`: layer.bias = array.",
    **dict.fromkeys(
        ("learning_rate", "lr"), "The learning rate is the optimizer's: net.fit(..., optimizer=Adam(0.01))."
    ),
    **dict.fromkeys(
        ("optimizer", "metrics", "callbacks"), "The loss, the optimizer and metrics are arguments of net.fit."
    ),
    **dict.fromkeys(
        ("kernel_regularizer", "activity_regularizer"), "A penalty is the optimizer's: Adam(weight_decay=0.01)."
    ),
}

# Names of an optimizer's settings in other packages.
OPTIMIZER_HINTS = {
    **dict.fromkeys(
        ("lr", "learning_rate_init", "eta", "eta0", "step_size"), "The setting is called `learning_rate`."
    ),
    **dict.fromkeys(("beta1", "b1"), "The setting is called `beta_1`."),
    **dict.fromkeys(("beta2", "b2"), "The setting is called `beta_2`."),
    "betas": "The settings are called `beta_1` and `beta_2`.",
    "eps": "The setting is called `epsilon`.",
    **dict.fromkeys(("alpha", "l2"), "The setting is called `weight_decay`, or `rho` in RMSProp."),
    **dict.fromkeys(("clipnorm", "global_clipnorm", "max_norm"), "The setting is called `clip_norm`."),
    "clipvalue": "The setting is called `clip_value`.",
    "param_groups": "One setting holds for all parameters: optimizer.learning_rate = 0.01.",
}

# Names that callbacks of other packages look for in what they are given.
RUN_HINTS = {
    **dict.fromkeys(("learning_rate", "lr"), "Assign to run.optimizer.learning_rate."),
    **dict.fromkeys(
        ("stop", "stop_training", "should_stop", "stop_reason"), "Call run.stop(message) to end the training."
    ),
    "batch_size": "It is fixed when the training begins: net.fit(..., batch_size=...).",
    **dict.fromkeys(
        ("epochs", "n_epochs", "max_iter", "params"),
        "It is fixed when the training begins: net.fit(..., epochs=...). Call run.stop(message) to end it.",
    ),
    "model": "The network is run.network.",
    **dict.fromkeys(("logs", "loss_value", "metrics"), "Losses and metrics are columns of run.history."),
    **dict.fromkeys(
        ("data", "X", "inputs", "y", "targets", "weights"),
        "The rows are run.data.inputs, run.data.targets and run.data.weights, which may be assigned.",
    ),
    "order": "The order of the rows is that of fit(..., shuffle=function).",
    "optimizer": "It is fixed when the training begins. Its settings may change: run.optimizer.learning_rate.",
}

# Methods of callbacks in other packages.
CALLBACK_HINTS = {
    **dict.fromkeys(
        ("on_batch_begin", "on_batch_start", "on_train_batch_begin", "on_train_batch_start"),
        "Nothing is called before a batch: on_batch_end(self, run) is called after it, and "
        "on_epoch_begin(self, run) before the first.",
    ),
    "on_train_batch_end": "It is called on_batch_end(self, run).",
    **dict.fromkeys(
        ("on_train_start", "on_fit_start", "on_fit_begin"), "It is called on_train_begin(self, run)."
    ),
    **dict.fromkeys(("on_fit_end", "on_train_finish"), "It is called on_train_end(self, run)."),
    **dict.fromkeys(("on_epoch_start", "on_train_epoch_start"), "It is called on_epoch_begin(self, run)."),
    **dict.fromkeys(
        (
            "on_train_epoch_end",
            "on_epoch_finish",
            "on_validation_end",
            "on_validation_epoch_end",
            "on_test_end",
        ),
        "It is called on_epoch_end(self, run), after the validation.",
    ),
}

# Arguments of `fit` in other packages.
FIT_HINTS = {
    **dict.fromkeys(
        ("validation_split", "validation_fraction"),
        "Split the data yourself: validation_data=(X_val, y_val). Estimators split by early_stopping=True.",
    ),
    **dict.fromkeys(
        ("learning_rate", "lr"), "The learning rate is the optimizer's: optimizer=Adam(learning_rate=0.01)."
    ),
    "class_weight": "Estimators take class_weight; here give sample_weight.",
    **dict.fromkeys(("n_epochs", "num_epochs", "max_iter", "nb_epoch"), "The argument is called `epochs`."),
    **dict.fromkeys(("seed", "random_seed"), "The argument is called `random_state`."),
    **dict.fromkeys(("validation", "val_data", "eval_set"), "The argument is called `validation_data`."),
    **dict.fromkeys(("criterion", "loss_fn"), "The argument is called `loss`."),
    "sample_weights": "The argument is called `sample_weight`.",
}

# Arguments of layers, losses and callbacks in other packages.
ARGUMENT_HINTS = {
    "alpha": "The argument is called `negative_slope`.",
    "activation": "An activation is a layer of its own: Sequential([Dense(3), ReLU()]).",
    **dict.fromkeys(
        ("input_shape", "input_dim", "in_features", "batch_input_shape"),
        "The shape of inputs is inferred, or given to build(input_shape).",
    ),
    **dict.fromkeys(("out_features", "n_units"), "The argument is called `units`."),
    "bias": "The argument is called `use_bias`.",
    "kernel_initializer": "The argument is called `weights_initializer`.",
    "p": "The argument is called `rate`.",
    **dict.fromkeys(
        ("kernel_regularizer", "activity_regularizer"), LAYER_ASSIGNMENT_HINTS["kernel_regularizer"]
    ),
    "from_logits": "The outputs are logits: leave out the network's last Softmax or Sigmoid.",
    "trainable": LAYER_ASSIGNMENT_HINTS["trainable"],
    "restore_best_weights": "The argument is called `restore_best`.",
}


Function = TypeVar("Function", bound=Callable[..., Any])


def with_argument_hints(hints: Mapping[str, str]) -> Callable[[Function], Function]:
    """Decorate a function so that the error for an unknown argument names the argument to use.

    Parameters
    ----------
    hints : mapping of str to str
        Advice by the names that other packages use.

    Returns
    -------
    callable
    """

    def decorate(function: Function) -> Function:
        known = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def checked(*arguments: Any, **named: Any) -> Any:
            for name in named:
                if name not in known:
                    instead = suggest_name(name, known, hints)
                    raise TypeError(f"{function.__name__} has no argument {name!r}. {instead}")
            return function(*arguments, **named)

        return cast(Function, checked)  # it has the function's own signature

    return decorate


def suggest_name(name: str, known: Iterable[str], hints: Mapping[str, str]) -> str:
    """Return advice for an unknown name: a hint, the most similar known name, or all known names.

    Parameters
    ----------
    name : str
    known : iterable of str
    hints : mapping of str to str
        Advice by the names that other packages use.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> suggest_name("epsilom", ["epsilon", "rho"], {})
    'Did you mean `epsilon`?'
    """
    known = list(known)
    if name in hints:
        return hints[name]
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"There are {', '.join(known)}." if known else "There is none."
