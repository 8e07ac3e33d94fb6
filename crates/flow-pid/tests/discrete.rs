//! The exact discrete decomposition against dit's, on gates and on random tables.

use flow_pid::discrete::{Broja, BrojaConfig, Joint};
use serde::Deserialize;

/// dit 2.3 minimises with scipy's SLSQP, whose default tolerance leaves errors of this size.
const DIT_BITS: f64 = 2e-5;

/// From here on dit's search has stopped far from the minimum.
const DIT_STRAYS_BITS: f64 = 1e-3;

#[derive(Deserialize)]
struct Fixture {
    dit: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: [usize; 3],
    p: Vec<f64>,
    #[serde(rename = "R")]
    r: f64,
    #[serde(rename = "U1")]
    u1: f64,
    #[serde(rename = "U2")]
    u2: f64,
    #[serde(rename = "S")]
    s: f64,
}

#[test]
fn atoms_agree_with_dit_and_are_certified_more_tightly() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/discrete.json")).unwrap();
    assert_eq!(fixture.dit, "2.3");
    assert_eq!(fixture.cases.len(), 19);
    let (mut n_agreed, mut n_strayed) = (0, 0);
    for case in fixture.cases {
        let joint = Joint::new(case.shape, case.p).unwrap();
        let found = Broja::of(&joint, &BrojaConfig::default()).unwrap();
        let gap = found.certificate.gap_bits();
        assert!((-1e-13..1e-10).contains(&gap), "{}: {gap:e}", case.name);
        let union = case.r + case.u1 + case.u2;
        let theirs = [case.r, case.u1, case.u2, case.s];
        // Whatever dit's minimum is, it cannot lie below the certified bound.
        assert!(
            union > found.certificate.lower_bits - DIT_BITS,
            "{}",
            case.name
        );
        if union > found.atoms.union + DIT_STRAYS_BITS {
            n_strayed += 1;
            continue;
        }
        for (ours, theirs) in found.atoms.parts().into_iter().zip(theirs) {
            let error = (ours - theirs).abs();
            assert!(error < DIT_BITS, "{}: {:?}", case.name, found.atoms);
        }
        n_agreed += 1;
    }
    // Seven gates and seven random tables; on the other five dit stops early, which a feasible
    // coupling with less information proves.
    assert_eq!((n_agreed, n_strayed), (14, 5));
}

#[test]
fn mixtures_of_independent_gates_add_up() {
    // A gate beside another one: the product distribution with paired values.
    use flow_pid::discrete::Gate;
    let beside = |a: &Joint, b: &Joint| {
        let ([a1, a2, ay], [b1, b2, by]) = (a.shape(), b.shape());
        let shape = [a1 * b1, a2 * b2, ay * by];
        let mut p = vec![0.0; shape.iter().product()];
        for (i, value_a) in a.table().iter().enumerate() {
            for (j, value_b) in b.table().iter().enumerate() {
                let (x1, x2, y) = (i / (a2 * ay), i / ay % a2, i % ay);
                let (u1, u2, v) = (j / (b2 * by), j / by % b2, j % by);
                let pair = (x1 * b1 + u1) * shape[1] + x2 * b2 + u2;
                p[pair * shape[2] + y * by + v] += value_a * value_b;
            }
        }
        Joint::new(shape, p).unwrap()
    };
    let (and, sum) = (Gate::And.joint().unwrap(), Gate::Sum.joint().unwrap());
    let found = Broja::of(&beside(&and, &sum), &BrojaConfig::default()).unwrap();
    let known = Gate::And.known().into_iter().zip(Gate::Sum.known());
    for (atom, (a, b)) in found.atoms.parts().into_iter().zip(known) {
        assert!((atom - a - b).abs() < 1e-9, "{:?}", found.atoms);
    }
}
