"""Wrong answers to the exercises on back-propagation."""

import numpy as np


def one_path_only(local):
    return local["dp/dh1"] * local["dh1/dz1"] * local["dz1/dx2"]


def garbled_index(local):
    z1 = local["dp/dh1"] * local["dh1/dz1"] + local["dp/dh2"] * local["dh1/dz2"]
    z2 = local["dp/dh1"] * local["dh1/dz2"] + local["dp/dh2"] * local["dh2/dz2"]
    return z1 * local["dz1/dx2"] + z2 * local["dz2/dx2"]


def other_input(local):
    z1 = local["dp/dh1"] * local["dh1/dz1"] + local["dp/dh2"] * local["dh2/dz1"]
    z2 = local["dp/dh1"] * local["dh1/dz2"] + local["dp/dh2"] * local["dh2/dz2"]
    return z1 * local["dz1/dx1"] + z2 * local["dz2/dx1"]


def by_four_paths(local):
    """The right number, from all paths."""
    return (
        local["dp/dh1"] * local["dh1/dz1"] * local["dz1/dx2"]
        + local["dp/dh2"] * local["dh2/dz1"] * local["dz1/dx2"]
        + local["dp/dh1"] * local["dh1/dz2"] * local["dz2/dx2"]
        + local["dp/dh2"] * local["dh2/dz2"] * local["dz2/dx2"]
    )


def forwards_from_x2(local):
    """The right number in six multiplications, but from x2 on: not by the derivatives that were asked for."""
    h1 = local["dh1/dz1"] * local["dz1/dx2"] + local["dh1/dz2"] * local["dz2/dx2"]
    h2 = local["dh2/dz1"] * local["dz1/dx2"] + local["dh2/dz2"] * local["dz2/dx2"]
    return local["dp/dh1"] * h1 + local["dp/dh2"] * h2


def sums_worked_out_twice(local):
    """The right number, and each edge from x2 is multiplied once; but there are twelve multiplications."""

    def level_2(z):
        halves = [local["dp/dh1"] * 0.5 * local[f"dh1/{z}"] + local["dp/dh2"] * 0.5 * local[f"dh2/{z}"]] * 2
        return halves[0] + halves[1]

    return level_2("dz1") * local["dz1/dx2"] + level_2("dz2") * local["dz2/dx2"]


def four_paths_in_an_array(local):
    """All paths at once in NumPy: the loop is hidden, and the multiplications are not fewer."""
    names = [(f"dp/dh{h}", f"dh{h}/dz{z}", f"dz{z}/dx2") for h in (1, 2) for z in (1, 2)]
    return np.array([[local[name] for name in path] for path in names]).prod(axis=1).sum()


def four_paths_as_floats(local):
    """All paths, out of sight of the check."""
    return by_four_paths({name: float(value) for name, value in local.items()})


def a_string(local):
    return str(float(by_four_paths(local)))


exercise_1 = [
    by_four_paths,
    one_path_only,
    garbled_index,
    other_input,
    lambda local: 0.08514,
    forwards_from_x2,
    sums_worked_out_twice,
    four_paths_in_an_array,
    four_paths_as_floats,
    a_string,
]


def longest_only(edges, start, target):
    """Follow the last edge out of a node alone."""
    if start == target:
        return 1.0
    for begin, end, derivative in reversed(edges):
        if begin == start:
            return derivative * longest_only(edges, end, target)
    return 0.0


def sum_of_sums(edges, start, target):
    """Add the derivatives along a path in place of multiplying them."""
    if start == target:
        return 0.0
    return sum(d + sum_of_sums(edges, end, target) for begin, end, d in edges if begin == start)


def number_of_paths(edges, start, target):
    """Count the paths."""
    if start == target:
        return 1.0
    return sum(number_of_paths(edges, end, target) for begin, end, _ in edges if begin == start)


def dead_ends_count(edges, start, target):
    """Take the end of any path for the target."""
    out = [(end, d) for begin, end, d in edges if begin == start]
    return sum(d * dead_ends_count(edges, end, target) for end, d in out) if out else 1.0


def nodes_as_they_appear(edges, start, target):
    """Take the nodes in the order of their appearance, as if each stood behind those that lead to it."""
    sums = {name: 0.0 for begin, end, _ in edges for name in (begin, end)}
    sums[start] = 1.0
    for node in list(sums):
        for begin, end, derivative in edges:
            if begin == node:
                sums[end] += sums[node] * derivative
    return sums[target]


def edges_as_they_stand(edges, start, target):
    """Take the edges in their order, as if they were sorted."""
    sums = {name: 0.0 for begin, end, _ in edges for name in (begin, end)}
    sums[start] = 1.0
    for begin, end, derivative in edges:
        sums[end] += sums[begin] * derivative
    return sums[target]


def nodes_by_name(edges, start, target):
    """Take the nodes in the order of the alphabet."""
    sums = {name: 0.0 for begin, end, _ in edges for name in (begin, end)}
    sums[start] = 1.0
    for node in sorted(sums):
        for begin, end, derivative in edges:
            if begin == node:
                sums[end] += sums[node] * derivative
    return sums[target]


def one_edge_a_pair(edges, start, target):
    """Keep the edges in a dict, in which the second of two parallel ones replaces the first."""
    table = {(begin, end): derivative for begin, end, derivative in edges}
    if start == target:
        return 1.0
    return sum(d * one_edge_a_pair(edges, end, target) for (begin, end), d in table.items() if begin == start)


def one_way_to_a_node(edges, start, target):
    """Visit every node once only, as a search for a path does."""
    seen = set()

    def walk(node):
        if node == target:
            return 1.0
        seen.add(node)
        return sum(d * walk(end) for begin, end, d in edges if begin == node and end not in seen)

    return walk(start)


def through_the_target(edges, start, target):
    """Nothing for the path of no edges."""
    return sum(
        d * (1.0 if end == target else through_the_target(edges, end, target))
        for begin, end, d in edges
        if begin == start
    )


exercise_2 = [
    longest_only,
    sum_of_sums,
    number_of_paths,
    dead_ends_count,
    nodes_as_they_appear,
    edges_as_they_stand,
    nodes_by_name,
    one_edge_a_pair,
    one_way_to_a_node,
    through_the_target,
]


def overwrites(edges, target):
    """Assign where contributions must add up."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for start, end, derivative in reversed(edges):
        gradients[start] = gradients[end] * derivative
    return gradients


def forwards(edges, target):
    """Go through the edges in their own order, when no gradient behind them is known."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for start, end, derivative in edges:
        gradients[start] += gradients[end] * derivative
    return gradients


def by_paths(edges, target):
    """Right numbers from all paths, each edge multiplied again and again."""

    def walk(node):
        if node == target:
            return 1.0
        return sum((derivative * walk(end) for begin, end, derivative in edges if begin == node), 0.0)

    return {name: walk(name) for start, end, _ in edges for name in (start, end)}


def nodes_back_as_they_appeared(edges, target):
    """Go through the nodes in the order opposite to that of their appearance."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for node in reversed(list(gradients)):
        for start, end, derivative in edges:
            if end == node:
                gradients[start] += gradients[end] * derivative
    return gradients


def parallel_edges_replaced(edges, target):
    """Keep the edges in a dict, in which the second of two parallel ones replaces the first."""
    table = {(start, end): derivative for start, end, derivative in edges}
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for (start, end), derivative in reversed(table.items()):
        gradients[start] += gradients[end] * derivative
    return gradients


def without_the_dead_ends(edges, target):
    """No entry for nodes that do not lead to the target."""
    gradients = {target: 1.0}
    for start, end, derivative in reversed(edges):
        if end in gradients:
            gradients[start] = gradients.get(start, 0.0) + gradients[end] * derivative
    return gradients


def none_for_dead_ends(edges, target):
    """None where there is no path, in place of 0."""
    gradients = {name: None for start, end, _ in edges for name in (start, end)}
    return gradients | without_the_dead_ends(edges, target)


def words(edges, target):
    """Right, but as text."""
    gradients = without_the_dead_ends(edges, target)
    names = {name for start, end, _ in edges for name in (start, end)}
    return {name: f"{float(gradients.get(name, 0.0)):.12g}" for name in names}


def only_the_last_node(edges, target):
    """Begin at the last node, whatever the target."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[edges[-1][1]] = 1.0
    for start, end, derivative in reversed(edges):
        gradients[start] += gradients[end] * derivative
    return gradients


def twice_each(edges, target):
    """Right numbers; each edge is multiplied once to see whether it counts, and once to add it."""
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for start, end, derivative in reversed(edges):
        if float(gradients[end] * derivative) != 0:
            gradients[start] += gradients[end] * derivative
    return gradients


exercise_3 = [
    overwrites,
    forwards,
    by_paths,
    lambda edges, target: 1.0,
    nodes_back_as_they_appeared,
    parallel_edges_replaced,
    without_the_dead_ends,
    none_for_dead_ends,
    words,
    only_the_last_node,
    twice_each,
]
