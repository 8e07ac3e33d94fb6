"""Checks the installed wheel: known answers, the words of errors, and types. Needs numpy only."""

import math

import flow_pid
import numpy as np


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


def discrete_gates_are_known():
    xor = np.zeros((2, 2, 2))
    for a in range(2):
        for b in range(2):
            xor[a, b, a ^ b] = 0.25
    atoms = flow_pid.discrete_pid(xor)
    close(atoms["S"], 1.0, 1e-6)
    close(atoms["R"], 0.0, 1e-6)


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
        discrete_gates_are_known,
        samples_give_a_report,
        flows_train,
        errors_are_values_errors_with_words,
    ):
        check()
        print("ok", check.__name__)
