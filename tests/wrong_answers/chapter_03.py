"""Wrong answers to the exercises on back-propagation."""


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


exercise_1 = [by_four_paths, one_path_only, garbled_index, other_input, lambda local: 0.08514]


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


exercise_2 = [longest_only, sum_of_sums, number_of_paths, dead_ends_count]


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


exercise_3 = [overwrites, forwards, by_paths, lambda edges, target: 1.0]
