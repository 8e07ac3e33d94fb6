"""dit's `PID_BROJA`, as a peer for the benchmark `decompositions`.

Prints one JSON row per benchmark, the median of three runs.
"""

import json
import statistics
import time

import dit
import numpy as np
from dit.pid import PID_BROJA


def gate(rows):
    return dit.Distribution([tuple(map(str, row)) for row in rows], [1 / len(rows)] * len(rows))


def table(shape):
    stream = np.random.RandomState(0)
    p = stream.standard_normal(shape) ** 2
    p /= p.sum()
    outcomes = list(np.ndindex(*shape))
    return dit.Distribution([tuple(map(str, o)) for o in outcomes], [p[o] for o in outcomes])


def main():
    bits = (0, 1)
    cases = {
        "AND": gate([(a, b, a & b) for a in bits for b in bits]),
        "RDNXOR": gate(
            [(2 * r + a, 2 * r + b, 2 * r + (a ^ b)) for r in bits for a in bits for b in bits]
        ),
        "2x2x2": table((2, 2, 2)),
    }
    for name, dist in cases.items():
        wall, cpu = [], []
        for _ in range(3):
            start, start_cpu = time.perf_counter(), time.process_time()
            PID_BROJA(dist, [(0,), (1,)], (2,)).get_pi(((0,), (1,)))
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - start_cpu)
        row = {"name": name, "seconds": statistics.median(wall)}
        print(json.dumps({**row, "cpu_seconds": statistics.median(cpu)}), flush=True)


if __name__ == "__main__":
    main()
