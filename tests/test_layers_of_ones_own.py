"""Layers of one's own that lack a parameter, a pass, an axis or a call get an error that says so."""

import numpy as np
import pytest

from layernet import Dense, Layer, NotBuiltError, Optimizer, Sequential, Sigmoid, SiLU, check_layer

X = np.random.default_rng(0).standard_normal((12, 5))
Y = X[:, :3]
ENGINES = ["formulas", "auto"]


def fit(*layers, y=Y, **options):
    return Sequential(*layers).fit(X, y, **{"loss": "mean_squared_error", "epochs": 1, **options})


class Scale(Layer):
    """Keeps its parameter as an attribute of its own."""

    def create_parameters(self, input_shape):
        self.w = np.ones(input_shape)

    def forward_pass(self, inputs):
        return inputs * self.w

    def backward_pass(self, inputs, grad_output):
        self.grad_w = (inputs * grad_output).sum(axis=0)
        return grad_output * self.w


class ScaleInPlace(Scale):
    """Fills a gradient that it has made itself."""

    def __init__(self):
        self.w, self.grad_w = np.ones(5), np.zeros(5)

    def create_parameters(self, input_shape):
        pass

    def backward_pass(self, inputs, grad_output):
        np.sum(inputs * grad_output, axis=0, out=self.grad_w)
        return grad_output * self.w


class OneNumber(Scale):
    def create_parameters(self, input_shape):
        self.w = 1.0

    def backward_pass(self, inputs, grad_output):
        self.grad_w = (inputs * grad_output).sum()
        return grad_output * self.w


class Misspelled(Scale):
    def create_parameters(self, input_shape):
        self.add_parameter("w", input_shape, "ones")

    def backward_pass(self, inputs, grad_output):
        self.grad_ws = (inputs * grad_output).sum(axis=0)
        return grad_output * self.w


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [Scale, ScaleInPlace, OneNumber])
def test_a_gradient_without_a_parameter_is_refused(kind, engine):
    message = (
        rf"{kind.__name__}\.grad_w is the gradient of no parameter.*It has no parameters\. Create one by "
        r"self\.add_parameter\('w'"
    )
    with pytest.raises(AttributeError, match=message):
        fit(kind(), Dense(3), engine=engine)
    with pytest.raises((AssertionError, AttributeError), match="is the gradient of no parameter"):
        check_layer(kind(), 5)


def test_a_misspelled_gradient_is_refused():
    with pytest.raises(AttributeError, match=r"grad_ws is the gradient of no.*the parameters \['w'\]"):
        fit(Misspelled(), Dense(3))


def test_settings_and_gradients_of_passes_are_attributes_like_others():
    class Remembers(Layer):
        def __init__(self, grad_clip=1.0):
            self.grad_clip = grad_clip

        def forward_pass(self, inputs):
            return 2 * inputs

        def backward_pass(self, inputs, grad_output):
            self.grad_output = grad_output.copy()
            return 2 * grad_output.clip(-self.grad_clip, self.grad_clip)

    layer = Remembers()
    fit(Dense(3), layer)
    layer.grad_clip = 0.5
    assert layer.grad_output.shape == (12, 3)


@pytest.mark.parametrize("method", ["add_parameter", "add_state"])
def test_parameters_are_added_where_the_shape_is_known(method):
    class Early(Layer):
        def __init__(self):
            getattr(self, method)("w", 5)

        def forward_pass(self, inputs):
            return inputs * self.w

        def backward_pass(self, inputs, grad_output):
            return grad_output * self.w

    message = rf"Early called {method}\('w', ...\) outside of create_parameters. Call it in create_parameters\("
    with pytest.raises(NotBuiltError, match=message):
        Early()

    class Late(Early):
        def __init__(self):
            pass

        def forward_pass(self, inputs):
            getattr(self, method)("w", 5)
            return inputs * self.w

        def backward_pass(self, inputs, grad_output):
            return grad_output * self.w

    late = Late()
    late.input_shape, late.dtype, late.output_shape = (5,), X.dtype, (5,)
    with pytest.raises(NotBuiltError, match=rf"Late called {method}"):
        late.forward_pass(X)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("declared", [False, True])
def test_only_a_layer_that_asks_for_it_is_told_of_the_batch(declared, engine):
    seen = []

    class Sees(Layer):
        if declared:
            uses_batch_info = True

        def forward_pass(self, inputs):
            if self.training:
                seen.append((self.batch_weights, self.batch_full_rows))
            return inputs.copy()

        def backward_pass(self, inputs, grad_output):
            return grad_output.copy()

    fit(Dense(3), Sees(), engine=engine, sample_weight=np.arange(1.0, 13), batch_size=8, shuffle=False)
    if declared:
        assert [(weights.tolist(), rows) for weights, rows in seen] == [
            (list(range(1, 9)), 8),
            (list(range(9, 13)), 8),
        ]
    else:
        assert seen == [(None, None)] * 2


def test_a_class_that_defines_a_pass_does_not_inherit_that_it_accepts_sparse_rows():
    class Doubled(Dense):
        def forward_pass(self, inputs):
            return 2 * super().forward_pass(inputs)

    class Declared(Doubled):
        accepts_sparse = True

        def forward_pass(self, inputs):
            return super().forward_pass(inputs)

    class Named(Dense):
        pass

    assert [cls.accepts_sparse for cls in (Layer, Dense, Doubled, Declared, Named)] == [
        False,
        True,
        False,
        True,
        True,
    ]


# --- passes ---


def test_half_a_layer_is_refused_when_it_is_defined():
    with pytest.raises(TypeError, match="OneWay has no backward pass: define backward_pass"):

        class OneWay(Layer):
            def forward_pass(self, inputs):
                return inputs

    with pytest.raises(TypeError, match="has no forward pass"):

        class OtherWay(Layer):
            def backward_pass(self, inputs, grad_output):
                return grad_output

    with pytest.raises(TypeError, match="nothing reads the record"):

        class NobodyReads(Layer):
            def record(self, inputs):
                return inputs.copy(), None

            def backward_pass(self, inputs, grad_output):
                return grad_output


def test_a_subclass_whose_two_ways_would_disagree_is_refused():
    with pytest.raises(TypeError, match="inherits backward_from from Sigmoid"):

        class Ignored(Sigmoid):
            def backward_pass(self, inputs, grad_output):
                return grad_output

    with pytest.raises(TypeError, match="inherits record from SiLU"):

        class AlsoIgnored(SiLU):
            def forward_pass(self, inputs):
                return inputs.copy()


# --- axes ---


def losing(function):
    class Loses(Layer):
        def forward_pass(self, inputs):
            return function(inputs)

        def backward_pass(self, inputs, grad_output):
            return grad_output.reshape(len(inputs), -1) + 0 * inputs

    return Loses()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("behind", [[], [Dense(3)]])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum(axis=0),
        lambda x: x.sum(axis=0, keepdims=True),
        lambda x: x.T.copy(),
        lambda x: x.ravel(),
        lambda x: np.repeat(x, 2, axis=0),
        lambda x: x[None],
    ],
)
def test_outputs_without_the_batch_axis_are_refused(function, behind, engine):
    with pytest.raises(ValueError, match=r"Loses\(\) must put out a row for each sample.* for 2 rows"):
        fit(Dense(4), losing(function), *behind, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_layer_that_loses_the_axis_of_features_is_named(engine):
    with pytest.raises(ValueError, match=r"Dense\(3\) expects.*one number a sample.*keepdims=True") as caught:
        fit(Dense(4), losing(lambda x: x.sum(axis=1)), Dense(3), engine=engine)
    assert caught.value.__notes__ == ["Raised by layer 2 of a Sequential of 3 layers, after Loses()."]
    history = fit(Dense(4), losing(lambda x: x.sum(axis=1)), y=X[:, 0], engine=engine)
    assert len(history["loss"]) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_one_number_for_all_rows_is_refused(engine):
    with pytest.raises(ValueError, match=r"ends in Loses\(\), whose output is one number for all rows"):
        fit(Dense(4), losing(np.sum), y=X[:, 0], engine=engine)


# --- optimizers ---


@pytest.mark.parametrize("engine", ENGINES)
def test_an_optimizer_calls_the_constructor_of_its_kind(engine):
    class Forgets(Optimizer):
        def __init__(self):
            self.rate = 0.1

        def move(self, parameters, gradients, learning_rate):
            parameters -= learning_rate * gradients

    with pytest.raises(AttributeError, match=r"Forgets has no 'learning_rate': its __init__ did not call"):
        fit(Dense(3), optimizer=Forgets(), engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("slots", [(), ("v", "w")])
def test_an_optimizer_takes_a_vector_for_each_slot(slots, engine):
    class Other(Optimizer):
        def __init__(self):
            super().__init__(0.1)

        def move(self, parameters, gradients, learning_rate, v):
            parameters -= learning_rate * gradients

    Other.slots = slots
    expected = ", ".join(["move(self, parameters, gradients, learning_rate", *slots])
    with pytest.raises(TypeError, match=r"Other\.slots names .*" + expected.replace("(", r"\(")):
        fit(Dense(3), optimizer=Other(), engine=engine)
