"""Known values from public courses: the HSE introduction to deep learning, and Stanford's cs231n.

The numbers and the recipes for inputs are theirs; a line above each block says where from. `line` fills an
array evenly from one number to another.
"""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from layernet import (
    SGD,
    Adam,
    BatchNorm,
    CrossEntropy,
    Dense,
    Dropout,
    Flatten,
    HingeLoss,
    LayerNorm,
    ReLU,
    RMSProp,
    Sequential,
)
from layernet.initializers import as_initializer

pytestmark = pytest.mark.slow


def line(start, stop, *shape):
    return np.linspace(start, stop, math.prod(shape)).reshape(shape)


def relative_error(a, b):
    return np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b)))


def differences(function, array, grad_output=1.0, step=1e-5):
    """Central differences of sum(function(array) * grad_output), moving the array's entries in place."""
    gradient = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        before = array[place]
        array[place] = before + step
        ahead = np.array(function(array))
        array[place] = before - step
        behind = np.array(function(array))
        array[place] = before
        gradient[place] = np.sum((ahead - behind) * grad_output) / (2 * step)
    return gradient


# --- HSE, week 2, "NumpyNN": ten checks, all with rtol 1e-3 and atol 0, on layers that saw no forward pass ---

HSE_INPUTS = line(-1, 1, 10, 32)


def hse_dense(units, weights, bias):
    layer = Dense(units).build(len(weights))
    layer.weights, layer.bias = weights, bias
    return layer


def test_hse_1_relu_gradient():
    x, g = HSE_INPUTS.copy(), np.ones((10, 32)) / (10 * 32)
    gradient = ReLU().backward_pass(x, g)
    assert_allclose(gradient, differences(lambda x: ReLU().forward_pass(x).mean(), x), rtol=1e-3, atol=0)


@pytest.mark.parametrize("initializer", ["glorot_uniform", "glorot_normal", "lecun_normal"])
def test_hse_2_and_3_dense_starts_small(initializer):
    np.random.seed(42)
    layer = Dense(150, weights_initializer=initializer).build(128, random_state=np.random.RandomState(42))
    assert -0.05 < layer.weights.mean() < 0.05
    assert 1e-3 < layer.weights.std() < 1e-1
    assert -0.05 < layer.bias.mean() < 0.05


def test_hse_4_dense_forward():
    layer = hse_dense(4, line(-1, 1, 3, 4), line(-1, 1, 4))
    expected = [
        [0.07272727, 0.41212121, 0.75151515, 1.09090909],
        [-0.90909091, 0.08484848, 1.07878788, 2.07272727],
    ]
    assert np.allclose(layer.forward_pass(line(-1, 1, 2, 3)), expected)


def hse_weights():
    np.random.seed(42)
    return np.random.randn(32, 64), line(-1, 1, 64)


def test_hse_5_dense_input_gradient():
    x, (weights, bias) = HSE_INPUTS.copy(), hse_weights()
    gradient = hse_dense(64, weights, bias).backward_pass(x, np.ones((10, 64)))
    expected = differences(lambda x: hse_dense(64, weights, bias).forward_pass(x).sum(), x)
    assert_allclose(gradient, expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize(("number", "name"), [(6, "weights"), (7, "bias")])
def test_hse_6_and_7_dense_parameter_gradients(number, name):
    """The course reads the gradient off a step of gradient descent with a learning rate of 1."""
    x, (weights, bias) = HSE_INPUTS.copy(), hse_weights()
    layer = hse_dense(64, weights, bias)
    before = getattr(layer, name).copy()
    layer.backward_pass(x, np.ones((10, 64)) / 10)
    SGD(learning_rate=1.0).update(layer)

    def mean_outputs(parameter):
        changed = {"weights": weights, "bias": bias, name: parameter}
        return hse_dense(64, changed["weights"], changed["bias"]).forward_pass(x).mean(axis=0).sum()

    expected = differences(mean_outputs, {"weights": weights, "bias": bias}[name])
    assert_allclose(before - getattr(layer, name), expected, rtol=1e-3, atol=0)


def test_hse_8_cross_entropy_gradient():
    logits, answers = line(-1, 1, 50, 10), np.arange(50) % 10
    loss = CrossEntropy().bind(answers)
    gradient = loss.backward_pass(logits)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_allclose(gradient, (probabilities - np.eye(10)[answers]) / 50, rtol=1e-10)
    assert_allclose(gradient, differences(loss.forward_pass, logits), rtol=1e-3, atol=0)
    per_sample = CrossEntropy().losses(logits, answers)
    assert_allclose(per_sample, -logits[np.arange(50), answers] + np.log(np.exp(logits).sum(axis=1)))


def test_hse_9_forward_gives_every_activation():
    net = Sequential([Dense(100), ReLU(), Dense(10)]).build(64, random_state=0)
    outputs, records = net.record(x := line(-1, 1, 5, 64))
    assert len(records) == len(net)
    activations = [net[: i + 1].forward_pass(x) for i in range(len(net))]
    assert [a.shape for a in activations] == [(5, 100), (5, 100), (5, 10)]
    assert_allclose(activations[-1], outputs)


def test_hse_10_training_on_digits(digits):
    """The course trains on MNIST, which no package ships; these are scikit-learn's digits, of 8 by 8 pixels."""
    X, y = digits
    net = Sequential([Dense(100), ReLU(), Dense(200), ReLU(), Dense(10)])
    history = net.fit(
        X[:1200],
        y[:1200],
        loss="cross_entropy",
        optimizer=SGD(0.1),
        epochs=25,
        batch_size=32,
        random_state=42,
        validation_data=(X[1200:1500], y[1200:1500]),
        metrics="accuracy",
    )
    assert history["val_accuracy"][0] < 0.93 < history["val_accuracy"][-1]
    assert history["accuracy"][-1] > 0.97


# --- cs231n, 2026, assignment 1: two_layer_net, FullyConnectedNets ---


def affine_net(*layers):
    """A network whose weights and biases are given: (weights, bias) pairs with ReLU between them."""
    chain = []
    for weights, bias in layers:
        chain += [Dense(weights.shape[1]), ReLU()]
    net = Sequential([Flatten(), *chain[:-1]]).build(layers[0][0].shape[0])
    for dense, (weights, bias) in zip(net[1::2], layers, strict=True):
        dense.weights, dense.bias = weights, bias
    return net


def test_cs231n_affine_forward():
    net = Sequential([Flatten(), Dense(3)]).build((4, 5, 6))
    net[1].weights, net[1].bias = line(-0.2, 0.3, 120, 3), line(-0.3, 0.1, 3)
    outputs = net.forward_pass(line(-0.1, 0.5, 2, 4, 5, 6))
    expected = np.array([[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]])
    assert relative_error(outputs, expected) < 1e-8


def test_cs231n_relu_forward():
    outputs = ReLU().forward_pass(line(-0.5, 0.5, 3, 4))
    expected = [
        [0, 0, 0, 0],
        [0, 0, 0.04545455, 0.13636364],
        [0.22727273, 0.31818182, 0.40909091, 0.5],
    ]
    assert relative_error(outputs, np.array(expected)) < 1e-7


TWO_LAYERS = (line(-0.7, 0.3, 5, 50), line(-0.1, 0.9, 50)), (line(-0.3, 0.4, 50, 7), line(-0.9, 0.1, 7))


def test_cs231n_two_layer_scores_and_loss():
    net = affine_net(*TWO_LAYERS)
    X = line(-5.5, 4.5, 5, 3).T
    scores = net.forward_pass(X)
    expected = [
        [11.53165108, 12.2917344, 13.05181771, 13.81190102, 14.57198434, 15.33206765, 16.09215096],
        [12.05769098, 12.74614105, 13.43459113, 14.1230412, 14.81149128, 15.49994135, 16.18839143],
        [12.58373087, 13.20054771, 13.81736455, 14.43418138, 15.05099822, 15.66781506, 16.2846319],
    ]
    assert np.abs(scores - expected).sum() < 1e-6
    loss = float(CrossEntropy().bind([0, 5, 1]).forward_pass(scores))
    assert abs(loss - 3.4702243556) < 1e-10
    penalty = 0.5 * sum((net[i].weights ** 2).sum() for i in (1, 3))
    assert abs(loss + 1.0 * penalty - 26.5948426952) < 1e-10


@pytest.mark.parametrize("regularization", [0, 3.14])
def test_cs231n_whole_network_gradients(regularization):
    """With the penalty of the assignment: weights decay, biases do not, and coupled decay is its derivative."""
    np.random.seed(231)
    X, y = np.random.randn(2, 15), np.random.randint(10, size=2)
    net = Sequential([Dense(20), ReLU(), Dense(30), ReLU(), Dense(10)])
    net.build(15, random_state=np.random.RandomState(231))
    weights = [net[i].weights for i in (0, 2, 4)]
    for array in weights:
        array[...] = 5e-2 * np.random.randn(*array.shape)
    net.backward_pass(X, CrossEntropy().bind(y).backward_pass(net.forward_pass(X)))

    def loss(_):
        penalty = 0.5 * regularization * sum((array**2).sum() for array in weights)
        return CrossEntropy().bind(y).forward_pass(net.forward_pass(X)) + penalty

    assert abs(float(CrossEntropy().bind(y).forward_pass(net.forward_pass(X))) - 2.3) < 0.1
    before = net.parameter_vector.copy()
    SGD(learning_rate=1.0, weight_decay=regularization).step(
        after := before.copy(), net.gradient_vector, net.decay_mask
    )
    numeric = differences(loss, net.parameter_vector)
    moved = before - after
    assert np.max(np.abs(moved - numeric)) <= 1e-7 * np.max(np.abs(numeric))


# --- cs231n: one step of each optimizer ---

W = line(-0.4, 0.6, 4, 5)
DW = line(-0.6, 0.4, 4, 5)


def table(text):
    return np.array(text.split(), dtype=float).reshape(4, 5)


def one_step(optimizer, **memory):
    steps = memory.pop("steps", 0)
    vectors = {name: value.ravel() for name, value in memory.items()}
    optimizer.load_state({**optimizer.state(), "steps": steps, **vectors})
    parameters = W.ravel().copy()
    optimizer.step(parameters, DW.ravel())
    state = optimizer.state()
    return parameters.reshape(4, 5), {name: state[name].reshape(4, 5) for name in memory}


def test_cs231n_sgd_with_momentum():
    w, memory = one_step(SGD(1e-3, momentum=0.9), velocity=line(0.6, 0.9, 4, 5))
    expected_w = table("""
        0.1406      0.20738947  0.27417895  0.34096842  0.40775789
        0.47454737  0.54133684  0.60812632  0.67491579  0.74170526
        0.80849474  0.87528421  0.94207368  1.00886316  1.07565263
        1.14244211  1.20923158  1.27602105  1.34281053  1.4096""")
    expected_velocity = table("""
        0.5406      0.55475789  0.56891579  0.58307368  0.59723158
        0.61138947  0.62554737  0.63970526  0.65386316  0.66802105
        0.68217895  0.69633684  0.71049474  0.72465263  0.73881053
        0.75296842  0.76712632  0.78128421  0.79544211  0.8096""")
    assert relative_error(w, expected_w) < 1e-7
    assert relative_error(memory["velocity"], expected_velocity) < 1e-7


def test_cs231n_rmsprop():
    w, memory = one_step(RMSProp(1e-2, rho=0.99, epsilon=1e-8), mean_square=line(0.6, 0.9, 4, 5))
    expected_w = table("""
        -0.39223849 -0.34037513 -0.28849239 -0.23659121 -0.18467247
        -0.132737   -0.08078555 -0.02881884  0.02316247  0.07515774
         0.12716641  0.17918792  0.23122175  0.28326742  0.33532447
         0.38739248  0.43947102  0.49155973  0.54365823  0.59576619""")
    expected_cache = table("""
        0.5976      0.6126277   0.6277108   0.64284931  0.65804321
        0.67329252  0.68859723  0.70395734  0.71937285  0.73484377
        0.75037008  0.7659518   0.78158892  0.79728144  0.81302936
        0.82883269  0.84469141  0.86060554  0.87657507  0.8926""")
    assert relative_error(w, expected_w) < 1e-6
    assert relative_error(memory["mean_square"], expected_cache) < 1e-7


def test_cs231n_adam():
    """The course counts t = 5 up to 6 before it corrects the bias: five steps were done before."""
    w, memory = one_step(Adam(1e-2), steps=5, mean=line(0.6, 0.9, 4, 5), mean_square=line(0.7, 0.5, 4, 5))
    expected_w = table("""
        -0.40094747 -0.34836187 -0.29577703 -0.24319299 -0.19060977
        -0.1380274  -0.08544591 -0.03286534  0.01971428  0.0722929
         0.1248705   0.17744702  0.23002243  0.28259667  0.33516969
         0.38774145  0.44031188  0.49288093  0.54544852  0.59801459""")
    expected_mean_square = table("""
        0.69966     0.68908382  0.67851319  0.66794809  0.65738853
        0.64683452  0.63628604  0.6257431   0.61520571  0.60467385
        0.59414753  0.58362676  0.57311152  0.56260183  0.55209767
        0.54159906  0.53110598  0.52061845  0.51013645  0.49966""")
    expected_mean = table("""
        0.48        0.49947368  0.51894737  0.53842105  0.55789474
        0.57736842  0.59684211  0.61631579  0.63578947  0.65526316
        0.67473684  0.69421053  0.71368421  0.73315789  0.75263158
        0.77210526  0.79157895  0.81105263  0.83052632  0.85""")
    assert relative_error(w, expected_w) < 1e-6
    assert relative_error(memory["mean"], expected_mean) < 1e-7
    assert relative_error(memory["mean_square"], expected_mean_square) < 1e-7


# --- cs231n: gradient checks by recipe, random numbers drawn in the order of the notebooks ---


def check_recipe(layer, x, grad_output, largest, training=False):
    """Gradients of the inputs and of every parameter against differences that move arrays in place."""

    def forward(_):
        if training:
            with layer.training_mode():
                return layer.forward_pass(x)
        return layer.forward_pass(x)

    if training:
        with layer.training_mode():
            gradient = layer.backward_pass(x, grad_output)
    else:
        gradient = layer.backward_pass(x, grad_output)
    analytic = {"inputs": gradient, **{name: g.copy() for name, g in layer.gradients.items()}}
    for name, array in {"inputs": x, **layer.parameters}.items():
        numeric = differences(forward, array, grad_output)
        assert relative_error(analytic[name], numeric) < largest, name


def test_cs231n_affine_gradients():
    np.random.seed(231)
    x = np.random.randn(10, 2, 3)
    net = Sequential([Flatten(), Dense(5)]).build((2, 3))
    net[1].weights, net[1].bias = np.random.randn(6, 5), np.random.randn(5)
    check_recipe(net, x, np.random.randn(10, 5), 1e-10)


def test_cs231n_relu_gradient():
    np.random.seed(231)
    check_recipe(ReLU(), np.random.randn(10, 10), np.random.randn(10, 10), 1e-11)


def test_cs231n_affine_relu_gradients():
    np.random.seed(231)
    x = np.random.randn(2, 3, 4)
    net = Sequential([Flatten(), Dense(10), ReLU()]).build((3, 4))
    net[1].weights, net[1].bias = np.random.randn(12, 10), np.random.randn(10)
    check_recipe(net, x, np.random.randn(2, 10), 1e-10)


@pytest.mark.parametrize(("loss", "about", "largest"), [(CrossEntropy(), 2.3, 5e-8), (HingeLoss(), 9, 5e-9)])
def test_cs231n_softmax_and_svm_loss(loss, about, largest):
    np.random.seed(231)
    x, y = 0.001 * np.random.randn(50, 10), np.random.randint(10, size=50)
    bound = loss.bind(y)
    assert abs(float(bound.forward_pass(x)) - about) < 0.01
    assert relative_error(bound.backward_pass(x), differences(bound.forward_pass, x)) < largest


@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
@pytest.mark.parametrize("keep", [1, 0.75, 0.5])
def test_cs231n_whole_network_gradients_with_norms_and_dropout(norm, keep):
    """FullyConnectedNets of assignment 2: affine, norm, ReLU and dropout twice, then affine and softmax.

    With 8 rows, not the course's 2: batch norm makes ±1 of any two rows, and puts silent units on ReLU's kink.
    """
    np.random.seed(231)
    X, y = np.random.randn(8, 15), np.random.randint(10, size=8)
    chain = []
    for units in (20, 30):
        chain += [Dense(units), *([norm()] if norm else []), ReLU(), Dropout(1 - keep)]
    net = Sequential([*chain, Dense(10)]).build(15, random_state=np.random.RandomState(123))
    for layer in net:
        if isinstance(layer, Dense):
            layer.weights = 5e-2 * np.random.randn(*layer.weights.shape)
    with net.training_mode():
        loss = CrossEntropy().bind(y)
        assert abs(float(loss.forward_pass(net.forward_pass(X))) - 2.3) < 0.6
        net.backward_pass(X, loss.backward_pass(net.forward_pass(X)))
        analytic = net.gradient_vector.copy()
        numeric = differences(lambda _: loss.forward_pass(net.forward_pass(X)), net.parameter_vector)
    assert np.max(np.abs(analytic - numeric)) <= 1e-7 * np.max(np.abs(numeric))


@pytest.mark.parametrize("norm", [BatchNorm(), LayerNorm()])
def test_cs231n_normalization_gradients(norm):
    np.random.seed(231)
    x = 5 * np.random.randn(4, 5) + 12
    norm.build(5)
    norm.gamma, norm.beta = np.random.randn(5), np.random.randn(5)
    check_recipe(norm, x, np.random.randn(4, 5), 1e-8, training=True)


def hidden_features(X):
    weights_1, weights_2 = np.random.randn(50, 60), np.random.randn(60, 3)
    return np.maximum(0, X @ weights_1) @ weights_2


def test_cs231n_batch_norm_in_training():
    np.random.seed(231)
    features = hidden_features(np.random.randn(200, 50))
    norm = BatchNorm().build(3)
    with norm.training_mode():
        plain = norm.forward_pass(features)
        norm.gamma, norm.beta = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
        scaled = norm.forward_pass(features)
    assert_allclose(plain.mean(axis=0), 0, atol=1e-12)
    assert_allclose(plain.std(axis=0), 1, atol=1e-6)
    assert_allclose(scaled.mean(axis=0), [11, 12, 13], atol=1e-10)
    assert_allclose(scaled.std(axis=0), [1, 2, 3], atol=1e-5)


def test_cs231n_layer_norm():
    np.random.seed(231)
    features = hidden_features(np.random.randn(4, 50))
    outputs = LayerNorm().forward_pass(features)
    assert_allclose(outputs.mean(axis=1), 0, atol=1e-12)
    assert_allclose(outputs.std(axis=1), 1, atol=1e-5)


def test_cs231n_batch_norm_in_inference():
    """After 50 batches the running averages, which start at 0 as in the course, have all but arrived."""
    np.random.seed(231)
    weights_1, weights_2 = np.random.randn(50, 60), np.random.randn(60, 3)

    def features():
        return np.maximum(0, np.random.randn(200, 50) @ weights_1) @ weights_2

    norm = BatchNorm(momentum=0.9, epsilon=1e-5).build(3)
    norm.running_variance = np.zeros(3)
    for _ in range(50):
        with norm.training_mode():
            norm.forward_pass(features())
        norm.end_step()
    outputs = norm.forward_pass(features())
    assert_allclose(outputs.mean(axis=0), 0, atol=0.2)
    assert_allclose(outputs.std(axis=0), 1, atol=0.2)


@pytest.mark.parametrize("keep", [0.25, 0.4, 0.7])
def test_cs231n_dropout_forward(keep):
    """The course's p is the probability to keep a unit, ours to drop it."""
    np.random.seed(231)
    x = np.random.randn(500, 500) + 10
    dropout = Dropout(1 - keep).build(500, random_state=231)
    with dropout.training_mode():
        outputs = dropout.forward_pass(x)
    assert abs(outputs.mean() - 10) < 0.1
    assert abs((outputs == 0).mean() - (1 - keep)) < 0.005
    assert_allclose(dropout.forward_pass(x), x)


def test_cs231n_dropout_gradient():
    np.random.seed(231)
    x, grad_output = np.random.randn(10, 10) + 10, np.random.randn(10, 10)
    dropout = Dropout(0.8).build(10, random_state=123)
    check_recipe(dropout, x, grad_output, 1e-10, training=True)


def test_names_of_initializers():
    """The course's own, normal numbers times 0.01, is a function of a shape and a generator."""
    layer = Dense(150, weights_initializer=lambda shape, random: 0.01 * random.standard_normal(shape))
    assert 0.009 < layer.build(128, random_state=42).weights.std() < 0.011
    assert as_initializer("zeros", "bias")((3,), None).tolist() == [0, 0, 0]
