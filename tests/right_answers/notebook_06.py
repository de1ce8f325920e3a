"""Right answers to the exercises of notebook 6, in unusual forms."""

import numpy as np
from scipy import integrate, special

exercise_1 = [
    lambda outputs: [j for j in range(outputs.shape[1]) if not any(outputs[:, j])],
    lambda outputs: np.where(outputs.max(axis=0) == 0)[0],
    lambda outputs: np.argwhere(np.count_nonzero(outputs, axis=0) == 0).ravel(),
    lambda outputs: np.setdiff1d(np.arange(outputs.shape[1]), np.nonzero(outputs)[1]),
]


def by_recursion(weights, inputs, grad_output):
    norms = []

    def through(place, a):
        """The gradient of what comes into a layer."""
        if place == len(weights):
            return grad_output
        s = special.expit(a @ weights[place])
        grad_z = through(place + 1, s) * s * (1 - s)
        norms.insert(0, np.sqrt(((a.T @ grad_z) ** 2).sum()))
        return grad_z @ weights[place].T

    through(0, inputs)
    return norms


def by_tanh(weights, inputs, grad_output):
    zs, a = [], [inputs]
    for W in weights:
        zs.append(a[-1] @ W)
        a.append((1 + np.tanh(zs[-1] / 2)) / 2)
    norms, g = np.empty(len(weights)), grad_output
    for k in reversed(range(len(weights))):
        g = g / (4 * np.cosh(zs[k] / 2) ** 2)
        norms[k] = np.linalg.norm(np.einsum("ni,nj->ij", a[k], g))
        g = np.einsum("nj,ij->ni", g, weights[k])
    return norms


exercise_2 = [by_recursion, by_tanh]


def by_the_trapezoid(activation):
    z = np.arange(-10, 10, 1e-3)
    return 1 / integrate.trapezoid(activation(z) ** 2 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), z)


def by_hundredths(activation):
    z = np.linspace(-10, 10, 2001)
    density = np.exp(-(z**2) / 2)
    return density.sum() / (activation(z) ** 2 @ density)


def by_simpson(activation):
    z = np.linspace(-9, 9, 20_001)
    return 1 / integrate.simpson(activation(z) ** 2 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), x=z)


def by_quantiles(activation):
    """The middle of each of many slices of equal probability, in two parts: the tails by a grid."""
    edges = np.concatenate([np.linspace(-12, -3, 20_001), special.ndtri(np.linspace(0.00135, 0.99865, 40_001))])
    edges = np.unique(np.concatenate([edges, np.linspace(3, 12, 20_001)]))
    middles, share = (edges[1:] + edges[:-1]) / 2, np.diff(special.ndtr(edges))
    share = np.where(middles > 0, special.ndtr(-edges[:-1]) - special.ndtr(-edges[1:]), share)
    return 1 / (share @ activation(middles) ** 2)


def by_pieces(activation):
    """Adaptive quadrature, asked for one number at a time, in pieces of a half."""

    def integrand(z):
        return float(activation(np.array(z))) ** 2 * np.exp(-z * z / 2)

    total = sum(integrate.quad(integrand, a, a + 0.5, limit=100)[0] for a in np.arange(-10, 10, 0.5))
    return np.sqrt(2 * np.pi) / total


exercise_3 = [by_the_trapezoid, by_hundredths, by_simpson, by_quantiles, by_pieces]
