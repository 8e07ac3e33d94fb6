"""Checks the installed wheel: known answers, the words of errors, and types. Needs numpy only.

Discrete answers are compared with those of dit 2.3 that the crate's tests keep, and, where `dit`
is installed (`./check --dit`), with answers of its own.
"""

import json
import math
from pathlib import Path

import flow_pid
import numpy as np

STORED = Path(__file__).parent / "../tests/fixtures/discrete.json"


def close(a, b, by=1e-9):
    assert abs(a - b) <= by, (a, b)


def gaussian_scalars_are_mmi():
    # Y ~ N(0,1), X1 = Y + n1, X2 = 2 Y + n2: R = I1, U2 = I2 - I1, U1 = 0.
    covariance = np.array([[1.0, 1.0, 2.0], [1.0, 2.0, 2.0], [2.0, 2.0, 5.0]])
    atoms = flow_pid.gaussian_pid(covariance, 1, 1, 1)
    first, second = 0.5 * math.log2(2), 0.5 * math.log2(5)
    close(atoms["R"], first)
    close(atoms["U1"], 0.0)
    close(atoms["U2"], second - first)
    close(atoms["I12"], 0.5 * math.log2(6))


def gaussian_vectors_are_the_closed_form():
    # U1 and U2 are half the sums of positive and negative binary logarithms of the eigenvalues of
    # P^-1 Q, with P and Q the target's covariances given either source.
    dy, d1, d2 = 3, 4, 2
    raw = np.random.default_rng(3).normal(size=(9, 14))
    covariance = raw @ raw.T
    given = []
    for block in (slice(dy, dy + d1), slice(dy + d1, None), slice(dy, None)):
        cross = covariance[:dy, block]
        given.append(
            covariance[:dy, :dy] - cross @ np.linalg.solve(covariance[block, block], cross.T)
        )
    p, q, w = given
    logs = np.log2(np.linalg.eigvals(np.linalg.solve(p, q)).real)
    entropy = np.linalg.slogdet(covariance[:dy, :dy])[1]
    info1, info2, info12 = (
        (entropy - np.linalg.slogdet(left)[1]) / (2 * math.log(2)) for left in (p, q, w)
    )
    unique1, unique2 = 0.5 * logs[logs > 0].sum(), -0.5 * logs[logs < 0].sum()
    assert unique1 > 0.01 and unique2 > 0.01
    expected = {"R": info1 - unique1, "U1": unique1, "U2": unique2, "S": info12 - info2 - unique1}
    # The argument may be in either order of memory.
    for order in ("C", "F"):
        atoms = flow_pid.gaussian_pid(np.array(covariance, order=order), dy, d1, d2)
        for name, value in expected.items():
            close(atoms[name], value)


def discrete_gates_are_known():
    xor = np.zeros((2, 2, 2))
    for a in range(2):
        for b in range(2):
            xor[a, b, a ^ b] = 0.25
    atoms = flow_pid.discrete_pid(xor)
    close(atoms["S"], 1.0, 1e-6)
    close(atoms["R"], 0.0, 1e-6)


def discrete_tables_are_those_of_dit():
    stored = json.loads(STORED.read_text())
    n_agreed = 0
    for case in stored["cases"]:
        table = np.array(case["p"]).reshape(case["shape"])
        atoms = flow_pid.discrete_pid(table)
        # Where dit's search stopped early, our smaller joint information proves it.
        theirs = case["R"] + case["U1"] + case["U2"]
        if theirs > atoms["R"] + atoms["U1"] + atoms["U2"] + 1e-3:
            continue
        for name in ("R", "U1", "U2", "S"):
            close(atoms[name], case[name], 2e-5)
        n_agreed += 1
    assert n_agreed == 14, n_agreed
    try:
        import dit
        from dit.pid import PID_BROJA
    except ImportError:
        print("NOT CHECKED: answers of dit itself, only stored ones (./check --dit has both)")
        return
    for name, rows in {
        "AND": [(a, b, a & b) for a in (0, 1) for b in (0, 1)],
        "SUM": [(a, b, a + b) for a in (0, 1) for b in (0, 1)],
    }.items():
        dist = dit.Distribution([tuple(map(str, row)) for row in rows], [0.25] * 4)
        pid = PID_BROJA(dist, [(0,), (1,)], (2,))
        table = np.zeros((2, 2, 3))
        for row in rows:
            table[row] = 0.25
        atoms = flow_pid.discrete_pid(table)
        for atom, node in {"R": ((0,), (1,)), "U1": ((0,),), "S": ((0, 1),)}.items():
            close(atoms[atom], float(pid.get_pi(node)), 1e-4)
        print("   dit", dit.__version__, "agrees on", name)


def samples_give_a_report():
    rng = np.random.default_rng(1)
    y = rng.normal(size=2000)
    x1 = np.column_stack([y + rng.normal(size=2000), rng.normal(size=2000)])
    x2 = (2 * y + rng.normal(size=2000)).astype("float32")
    report = flow_pid.estimate(y, x1, x2, method="gaussian", bootstrap=50, shuffles=50)
    atoms = {atom["name"]: atom for atom in report["atoms"]}
    close(atoms["R"]["bits"], 0.5, 0.05)
    low, high = atoms["R"]["interval"]
    assert low < atoms["R"]["bits"] < high
    assert report["n_items"] == 2000 and report["method"] == "gaussian"
    label = np.where(y > 0, "pos", "neg")
    report = flow_pid.estimate(label, x1, x2, bootstrap=0, shuffles=0)
    close(report["target"]["entropy_bits"], 1.0, 0.01)
    assert report["target"]["coding"] == "one-hot"


def flows_train():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(600, 1))
    x1, x2 = y + rng.normal(size=(600, 1)), y + rng.normal(size=(600, 1))
    report = flow_pid.estimate(y, x1, x2, method="flow", steps=30, bootstrap=0, shuffles=0)
    assert report["diagnostics"]["steps"] == 30


def errors_are_values_errors_with_words():
    y = np.arange(50.0)

    def refuse(words, call):
        try:
            call()
        except ValueError as error:
            assert words in str(error), str(error)
        else:
            raise AssertionError(f"no error: {words}")

    refuse("49 items", lambda: flow_pid.estimate(y, np.sin(y[:49]), np.cos(y)))
    gap = np.sin(y)
    gap[3] = np.nan
    refuse("at item 3 has no value", lambda: flow_pid.estimate(y, gap, np.cos(y)))
    refuse("is none of", lambda: flow_pid.estimate(y, y, y, method="best"))
    refuse("is constant", lambda: flow_pid.estimate(y, np.ones(50), np.cos(y)))
    refuse("expected 3 x 3", lambda: flow_pid.gaussian_pid(np.eye(4), 1, 1, 1))
    refuse("three axes", lambda: flow_pid.discrete_pid(np.ones((2, 2)) / 4))
    refuse("axes", lambda: flow_pid.estimate(np.zeros((2, 2, 2)), y, y))


if __name__ == "__main__":
    for check in (
        gaussian_scalars_are_mmi,
        gaussian_vectors_are_the_closed_form,
        discrete_gates_are_known,
        discrete_tables_are_those_of_dit,
        samples_give_a_report,
        flows_train,
        errors_are_values_errors_with_words,
    ):
        check()
        print("ok", check.__name__)
