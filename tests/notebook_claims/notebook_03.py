"""What the text of notebook 3 claims, by the cell after which it is asserted."""

# %% a-network-is-a-graph-code-2
assert np.isclose(edge.derivative, h1 * (1 - h1) * dense_h.weights[0, 0])

# %% a-derivative-is-a-sum-over-paths-code-2
assert len(equation.products) == 4
assert len(repeated) == 4
assert n_edges == 184
assert np.isclose(equation.value, graph.node("x1").gradient, rtol=1e-12)

# %% level-by-level-code-2
assert [label for label, _ in levels.groups] == ["3", "2", "1"]
assert levels["dp/dz1"].symbolic == "dp/dz1 = dp/dh1 dh1/dz1 + dp/dh2 dh2/dz1"
assert levels["dp/dx1"].symbolic == "dp/dx1 = (dp/dz1) dz1/dx1 + (dp/dz2) dz2/dx1"
assert np.isclose(levels["dp/dx1"].value, equation.value, rtol=1e-12)

# %% level-by-level-code-3
assert count.paths == 8 and count.edges == 10
assert count.by_back_propagation.multiplications == 10
assert count.by_back_propagation.max_edge_evaluations == 1
assert count.by_paths.multiplications == 24

# %% level-by-level-code-4
for width in widths:
    for depth, (paths_work, levels_work) in zip(depths, work[width], strict=True):
        assert levels_work == 2 * width + (depth - 1) * width**2
        assert paths_work == width**depth * (depth + 1)
assert f"{by_paths / by_levels:,.0f}" == "75,884"

# %% the-same-in-four-lines-code
for node in graph.nodes:
    assert np.isclose(gradients[node.name], node.gradient, rtol=1e-12)

# %% a-node-needs-just-two-methods-code
assert np.allclose(outputs, [graph.node("h1").value, graph.node("h2").value])
assert np.allclose(grad_z, [graph.node("z1").gradient, graph.node("z2").gradient])

# %% from-derivatives-to-learning-code
assert parameter.symbolic == "dL/dw1 = dL/dp dp/dh2 dh2/dw1"
assert parameter.target_after < parameter.target_before
assert np.isclose(factors[0], 2 * (p - 1)) and np.isclose(factors[2], h2 * (1 - h2) * z1)

# %% from-derivatives-to-learning-code-2
assert parameter.symbolic == "dL/dw2 = (dL/dz1) dz1/dw2"
assert parameter["dL/dz1"].value == graph.node("z1").gradient

# %% from-derivatives-to-learning-code-3
assert net.parameter_vector.size == 15
assert all(after < before for before, after in zip(losses, losses[1:], strict=False))

# %% a-real-one-an-iris-flower-code
assert np.mean(outputs.argmax(axis=1) == iris.target) > 0.9
assert {is_, said} == {1, 2} and at_inputs[2:].min() > at_inputs[:2].max()
assert len(flower.edges) == 4 * 5 + 5 * 3 + 3

# %% a-real-one-an-iris-flower-code-2
assert np.allclose(at_outputs, probabilities - np.eye(3)[is_]) and abs(at_outputs.sum()) < 1e-12
assert abs(at_outputs[0]) < 0.05 and at_outputs[is_] < -0.3 and at_outputs[said] > 0.3
assert verification and len(verification.differences) == 4
