"""Right answers to the exercises on back-propagation, in unusual forms."""

import math
from collections import Counter, defaultdict
from functools import cache
from graphlib import TopologicalSorter

import numpy as np


def by_matrices(local):
    p_h = np.array([local["dp/dh1"], local["dp/dh2"]])
    h_z = np.array([[local[f"dh{h}/dz{z}"] for z in (1, 2)] for h in (1, 2)])
    z_x2 = np.array([[local["dz1/dx2"]], [local["dz2/dx2"]]])
    return (p_h @ h_z @ z_x2)[0]


def into_an_array(local):
    p_z = np.zeros(2)
    for z in (1, 2):
        for h in (1, 2):
            p_z[z - 1] += local[f"dp/dh{h}"] * local[f"dh{h}/dz{z}"]
    return p_z[0] * local["dz1/dx2"] + p_z[1] * local["dz2/dx2"]


def by_products(local):
    p_z = [math.fsum(math.prod((local[f"dp/dh{h}"], local[f"dh{h}/dz{z}"])) for h in (1, 2)) for z in (1, 2)]
    return sum(p_z[z - 1] * local[f"dz{z}/dx2"] for z in (1, 2))


def other_way_round(local):
    p_z2 = local["dh2/dz2"] * local["dp/dh2"] + local["dh1/dz2"] * local["dp/dh1"]
    p_z1 = local["dh2/dz1"] * local["dp/dh2"] - (-local["dh1/dz1"]) * local["dp/dh1"]
    return local["dz2/dx2"] * p_z2 + local["dz1/dx2"] * p_z1


exercise_1 = [by_matrices, into_an_array, by_products, other_way_round]


def with_a_memory(edges, start, target):
    @cache
    def walk(node):
        return 1.0 if node == target else sum(d * walk(end) for begin, end, d in edges if begin == node)

    return walk(start)


def with_a_stack(edges, start, target):
    total, stack = 0.0, [(start, 1.0)]
    while stack:
        node, product = stack.pop()
        if node == target:
            total += product
            continue
        stack += [(end, product * d) for begin, end, d in edges if begin == node]
    return total


def in_topological_order(edges, start, target):
    before = defaultdict(set)
    for begin, end, _ in edges:
        before[end].add(begin)
    sums = Counter({start: 1.0})
    for node in TopologicalSorter(before).static_order():
        sums[node] += sum(sums[begin] * d for begin, end, d in edges if end == node)
    return sums[target]


def by_a_series_of_matrices(edges, start, target):
    names = sorted({name for begin, end, _ in edges for name in (begin, end)})
    matrix = np.zeros((len(names), len(names)))
    for begin, end, derivative in edges:
        matrix[names.index(begin), names.index(end)] += derivative
    sums = sum(np.linalg.matrix_power(matrix, k) for k in range(len(names) + 1))
    return sums[names.index(start), names.index(target)]


exercise_2 = [with_a_memory, with_a_stack, in_topological_order, by_a_series_of_matrices]


def by_recursion(edges, target):
    out = defaultdict(list)
    for start, end, derivative in edges:
        out[start].append((end, derivative))

    @cache
    def gradient(node):
        return 1.0 if node == target else sum((gradient(end) * d for end, d in out[node]), 0.0)

    return {name: gradient(name) for start, end, _ in edges for name in (start, end)}


def only_what_leads_to_it(edges, target):
    """Edges whose end does not lead to the target are left out; a Counter says 0 for what it does not hold."""
    gradients = Counter({target: 1.0})
    for start, end, derivative in edges[::-1]:
        if end in gradients:
            gradients[start] += derivative * gradients[end]
    return gradients


def with_a_default(edges, target):
    gradients = defaultdict(float)
    gradients[target] = 1.0
    for start, end, derivative in reversed(edges):
        gradients[start] += math.prod([derivative, gradients[end]])
    return gradients


def in_the_order_of_nodes(edges, target):
    after = defaultdict(set)
    for start, end, _ in edges:
        after[start].add(end)
    gradients = {}
    for node in TopologicalSorter(after).static_order():
        shares = [gradients[end] * d for start, end, d in edges if start == node]
        gradients[node] = 1 if node == target else sum(shares)
    return gradients


def with_numpy(edges, target):
    names = list(dict.fromkeys(name for start, end, _ in edges for name in (start, end)))
    gradients = np.zeros(len(names))
    gradients[names.index(target)] = 1
    for start, end, derivative in reversed(edges):
        gradients[names.index(start)] += gradients[names.index(end)] * derivative
    return dict(zip(names, gradients, strict=True))


exercise_3 = [by_recursion, only_what_leads_to_it, with_a_default, in_the_order_of_nodes, with_numpy]
