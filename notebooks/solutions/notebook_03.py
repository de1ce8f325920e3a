"""Solutions to the exercises on back-propagation."""


def exercise_1(local):
    """Derive p level by level, and use each level's sums for the next.

    Level 3 is given: dp/dh1 and dp/dh2 are derivatives on edges. Level 2 needs a sum of two products for each
    z, since z reaches p through both h. Level 1 multiplies these two sums, not the paths behind them.
    """
    p_z1 = local["dp/dh1"] * local["dh1/dz1"] + local["dp/dh2"] * local["dh2/dz1"]
    p_z2 = local["dp/dh1"] * local["dh1/dz2"] + local["dp/dh2"] * local["dh2/dz2"]
    return p_z1 * local["dz1/dx2"] + p_z2 * local["dz2/dx2"]


def exercise_2(edges, start, target):
    """Follow every edge out of a node, and add up what comes back.

    A path from `start` is an edge out of it, and then a path from where that edge ends. So the sum over all
    paths is the sum over the edges out of `start` of (derivative) * (sum over all paths from there). The
    empty path from the target to itself has the empty product, 1. This is right, and slow: a node that is
    reached twice is worked out twice. (It shares the beginnings of paths, and so needs fewer multiplications
    than products that are worked out path by path, as `count` does; their number still grows with that of the
    paths.)
    """
    if start == target:
        return 1.0
    return sum(
        derivative * exercise_2(edges, end, target) for begin, end, derivative in edges if begin == start
    )


def exercise_3(edges, target):
    """Go through the edges from the last to the first, and hand each node's gradient to the nodes before it.

    When an edge's turn comes, all edges out of its end are done, because they stand behind it; so the
    gradient of its end is complete. A node may hand its value to several others, and then the contributions
    add up: hence `+=`.
    """
    gradients = {name: 0.0 for start, end, _ in edges for name in (start, end)}
    gradients[target] = 1.0
    for start, end, derivative in reversed(edges):
        gradients[start] += gradients[end] * derivative
    return gradients
