"""Names that users of other packages try on a network, and what does the same here."""

from __future__ import annotations

NAMES_ELSEWHERE = {
    **dict.fromkeys(
        ("predict", "forward", "call"),
        "Outputs are net.forward_pass(inputs), or net.compile_for_inference()(inputs) for many calls; "
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
    "evaluate": "Use layernet.training.evaluate(net, X, y, loss=..., metrics=...).",
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
