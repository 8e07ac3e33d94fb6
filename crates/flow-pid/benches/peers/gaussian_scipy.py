"""Gaussian PID with scipy, as a peer for the benchmark `decompositions`.

`atoms/...` minimises the joint information over the coupling of the noises by L-BFGS-B with the
exact gradient, the usual way; `closed/...` evaluates the same closed form as the crate with scipy's
factorisations. Prints one JSON row per benchmark, the median of runs.
"""

import json
import statistics
import time

import numpy as np
import scipy.linalg as la
from scipy.optimize import minimize


def channels(d1, d2, dy):
    stream = np.random.RandomState(0)
    return stream.standard_normal((d1, dy)), stream.standard_normal((d2, dy))


def information(h):
    return 0.5 * np.linalg.slogdet(np.eye(h.shape[1]) + h.T @ h)[1] / np.log(2)


def by_minimisation(h1, h2):
    """S = Z chol(I + ZᵀZ)⁻ᵀ is free of constraints; derivatives by the chain rule through S."""
    (d1, dy), d2 = h1.shape, len(h2)
    a = np.eye(dy) + h1.T @ h1

    def value(flat):
        z = flat.reshape(d1, d2)
        outer = np.eye(d2) + z.T @ z
        lower = la.cholesky(outer, lower=True)
        s = la.solve_triangular(lower, z.T, lower=True).T
        e = h2 - s.T @ h1
        inner = np.eye(d2) - s.T @ s
        k = la.solve(inner, e, assume_a="pos")
        core = a + e.T @ k
        factor = la.cho_factor(core, lower=True)
        loss = np.log(np.diag(factor[0])).sum()
        middle = la.cho_solve(factor, k.T).T
        grad_s = -h1 @ middle.T + s @ (middle @ k.T)
        # S = Z L⁻ᵀ, L = chol(I + ZᵀZ): reverse mode.
        grad_z = la.solve_triangular(lower, grad_s.T, lower=True, trans="T").T
        grad_l = -la.solve_triangular(lower, grad_s.T @ s, lower=True, trans="T")
        grad_l = np.tril(grad_l)
        phi = np.tril(lower.T @ grad_l)
        phi[np.diag_indices(d2)] *= 0.5
        half = la.solve_triangular(lower, phi, lower=True, trans="T")
        grad_outer = la.solve_triangular(lower, half.T, lower=True, trans="T").T
        grad_outer = 0.5 * (grad_outer + grad_outer.T)
        return loss, (grad_z + 2 * z @ grad_outer).ravel()

    options = {"gtol": 1e-8, "ftol": 0.0, "maxiter": 10_000, "maxfun": 20_000}
    found = minimize(value, np.zeros(d1 * d2), jac=True, method="L-BFGS-B", options=options)
    union = found.fun / np.log(2)
    i1, i2 = information(h1), information(h2)
    return i1 + i2 - union, union - i2, union - i1, information(np.vstack([h1, h2])) - union


def closed(h1, h2):
    a, b = (np.eye(h.shape[1]) + h.T @ h for h in (h1, h2))
    logs = 0.5 * np.log2(la.eigh(a, b, eigvals_only=True))
    u1, u2 = np.maximum(logs, 0).sum(), np.maximum(-logs, 0).sum()
    i1, i2 = information(h1), information(h2)
    return i1 - u1, u1, u2, information(np.vstack([h1, h2])) - i2 - u1


def closed_from_covariance(cov, dy, d1):
    def posterior(block):
        cross = cov[:dy, block]
        return cov[:dy, :dy] - cross @ la.cho_solve(la.cho_factor(cov[block, block]), cross.T)

    n = len(cov)
    p, q, w = (posterior(slice(*ends)) for ends in ((dy, dy + d1), (dy + d1, n), (dy, n)))
    logs = 0.5 * np.log2(la.eigh(q, p, eigvals_only=True))
    u1, u2 = np.maximum(logs, 0).sum(), np.maximum(-logs, 0).sum()
    h = np.linalg.slogdet(cov[:dy, :dy])[1]
    i1, i2, i12 = (0.5 * (h - np.linalg.slogdet(m)[1]) / np.log(2) for m in (p, q, w))
    return i1 - u1, u1, u2, i12 - i2 - u1


def measure(name, call, least=0.5):
    call()
    wall, cpu, begin = [], [], time.perf_counter()
    while len(wall) < 3 or (time.perf_counter() - begin < least and len(wall) < 2000):
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    row = {"name": name, "seconds": statistics.median(wall), "cpu_seconds": statistics.median(cpu)}
    print(json.dumps(row), flush=True)


def main():
    for dims in ((2, 2, 2), (16, 16, 2), (16, 16, 16)):
        h1, h2 = channels(*dims)
        assert np.allclose(by_minimisation(h1, h2), closed(h1, h2), atol=1e-5)
        name = "x".join(map(str, dims))
        measure(f"atoms/{name}", lambda: by_minimisation(h1, h2))
    h1, h2 = channels(64, 64, 64)
    measure("closed/64x64x64", lambda: closed(h1, h2))
    h1, h2 = channels(1000, 1000, 2)
    h = np.vstack([np.eye(2), h1, h2])
    cov = h @ h.T
    cov[range(2, 2002), range(2, 2002)] += 1.0
    measure("closed/2002", lambda: closed_from_covariance(cov, 2, 1000))


if __name__ == "__main__":
    main()
