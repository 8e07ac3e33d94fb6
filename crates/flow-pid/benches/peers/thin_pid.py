"""A numpy implementation of the published loop, as a peer for the benchmark `thin_pid`.

Written for this project from the paper's Algorithm 1 and the constants of the official code; it
factors, solves, and projects in every iteration as that code does. Needs numpy only and one thread
(set OMP_NUM_THREADS=1 before comparing). Prints one JSON row per benchmark, the median of three
runs: {"name": …, "seconds": …, "cpu_seconds": …}.
"""

import json
import statistics
import sys
import time

import numpy as np

REG, ETA, ALPHA, BETA, PATIENCE, CAP = 1e-7, 1e-3, 0.999, 0.9, 20, 20_000


def clip(coupling):
    u, values, v = np.linalg.svd(coupling, full_matrices=False)
    return (u * np.clip(values, 0.0, 1.0)) @ v


def objective(coupling, g11, g12, g22):
    d1, d2 = coupling.shape
    noise = np.block([[np.eye(d1), coupling], [coupling.T, np.eye(d2)]])
    total = np.block([[g11, g12 + coupling], [(g12 + coupling).T, g22]])
    return 0.5 * (np.linalg.slogdet(total)[1] - np.linalg.slogdet(noise)[1]) / np.log(2)


def gradient_sign(coupling, g11, g12, g22):
    cross, eye = g12 + coupling, np.eye(coupling.shape[1])
    regression = np.linalg.solve(g11, cross)
    schur = g22 - cross.T @ regression + REG * eye
    inner = eye - coupling.T @ coupling + REG * eye
    return np.sign(np.linalg.solve(inner, coupling.T).T - np.linalg.solve(schur, regression.T).T)


def thin_pid(h1, h2):
    if len(h1) < len(h2):
        h1, h2 = h2, h1
    g11, g12, g22 = np.eye(len(h1)) + h1 @ h1.T, h1 @ h2.T, np.eye(len(h2)) + h2 @ h2.T
    coupling = clip(h1 @ np.linalg.pinv(h2))
    step, before = np.full(coupling.shape, ETA), np.zeros(coupling.shape)
    recent, best, i = [], np.inf, 1
    while True:
        with np.errstate(all="ignore"):
            value = objective(coupling, g11, g12, g22)
        best = np.fmin(best, value)
        if len(recent) >= PATIENCE:
            last = recent[-PATIENCE:]
            if all(abs(old - value) < REG for old in last) or i >= CAP:
                return best, i
        recent.append(value if np.isfinite(value) else np.inf)
        i += 1
        sign = gradient_sign(coupling, g11, g12, g22)
        coupling = clip(coupling - ALPHA**i * step * sign)
        step, before = step * BETA ** (-sign * before), sign


def main():
    for shape in ("dy=2", "dy=d"):
        for d in (16, 64, 100, 256):
            stream = np.random.RandomState(0)
            dy = 2 if shape == "dy=2" else d
            h1, h2 = stream.standard_normal((d, dy)), stream.standard_normal((d, dy))
            wall, cpu, iterations = [], [], 0
            for _ in range(3):
                start, start_cpu = time.perf_counter(), time.process_time()
                _, iterations = thin_pid(h1, h2)
                wall.append(time.perf_counter() - start)
                cpu.append(time.process_time() - start_cpu)
            name = f"thin_pid/{shape}/{d}"
            print(f"{name}: {iterations} iterations, numpy {np.__version__}", file=sys.stderr)
            print(json.dumps({
                "name": name,
                "seconds": statistics.median(wall),
                "cpu_seconds": statistics.median(cpu),
            }), flush=True)


if __name__ == "__main__":
    main()
