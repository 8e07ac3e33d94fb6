//! Inputs at which a formula breaks down: each has a defined result or a named error.

use faer::{Mat, mat};
use flow_pid::estimate::{Samples, covariance};
use flow_pid::{
    Atoms, Channel, Dims, Optimum, PidError, Solver, Stop, ThinPid, ThinPidConfig, TildePidConfig,
};

use crate::{normal, random_channel, stream};

fn agree(channel: &Channel, bound: f64) {
    let optimum = Optimum::of(channel).unwrap();
    let thin = ThinPid::run(channel, &ThinPidConfig::tight()).unwrap();
    let error = (thin.union_bits().unwrap() - optimum.union_bits).abs();
    assert!(error < bound, "{:?}: {error:e}", channel.dims());
}

#[test]
fn a_target_larger_than_both_sources_is_solved() {
    agree(&random_channel(2, 3, 40, &mut stream(1)), 1e-11);
    agree(&random_channel(1, 1, 9, &mut stream(2)), 1e-12);
}

#[test]
fn very_unequal_sources_are_solved_in_either_order() {
    let channel = random_channel(120, 2, 3, &mut stream(3));
    agree(&channel, 1e-10);
    agree(&channel.swapped(), 1e-10);
    let run = |channel: &Channel| ThinPid::run(channel, &ThinPidConfig::default()).unwrap();
    let (one, other) = (run(&channel), run(&channel.swapped()));
    // The sources are ordered by size, so both runs are the same run.
    assert_eq!(one.union_raw_bits, other.union_raw_bits);
    assert_eq!(one.coupling, other.coupling.transpose());
}

#[test]
fn rank_deficient_channels_are_solved() {
    let h = mat![[1.0, 2.0, 0.0], [0.5, 1.0, 0.0], [-1.0, -2.0, 0.0]];
    let other = mat![[0.0, 1.0, 1.0], [0.0, 2.0, 2.0]];
    agree(&Channel::with_independent_noise(h, other).unwrap(), 1e-11);
}

#[test]
fn a_silent_source_leaves_everything_to_the_other() {
    let channel = Channel::with_independent_noise(mat![[1.5, 0.2]], Mat::zeros(3, 2)).unwrap();
    let atoms = Atoms::of_channel(&channel).unwrap();
    assert!(atoms.redundancy.abs() < 1e-14 && atoms.unique2.abs() < 1e-14);
    assert!((atoms.unique1 - atoms.info1).abs() < 1e-14 && atoms.info1 > 0.5);
    agree(&channel, 1e-12);
}

#[test]
fn equal_channels_have_a_boundary_optimum_and_no_silent_value() {
    for d in [1, 3, 6] {
        let h = normal(d, d, &mut stream(d as u64));
        let channel = Channel::with_independent_noise(h.clone(), h).unwrap();
        let optimum = Optimum::of(&channel).unwrap();
        assert!(optimum.on_boundary(&channel).unwrap());
        assert!((optimum.union_bits - optimum.info1_bits).abs() < 1e-13);
        assert!(optimum.certificate().unwrap().gap_bits().abs() < 1e-12);
        let thin = ThinPid::run(&channel, &ThinPidConfig::default()).unwrap();
        assert!(thin.on_boundary(), "{:?} {}", thin.stop, thin.coupling_norm);
        match thin.union_bits() {
            // Rounding may leave an iterate just inside the ball, whose value is then the truth.
            Ok(union) => assert!((union - optimum.union_bits).abs() < 1e-6),
            Err(why) => assert!(matches!(why, PidError::NoFiniteObjective { .. })),
        }
    }
}

#[test]
fn one_shared_direction_among_others_is_found_on_the_boundary() {
    // The first target coordinate reaches both sources equally well, the second does not.
    let channel =
        Channel::with_independent_noise(mat![[1.0, 0.0], [0.0, 2.0]], mat![[1.0, 0.0], [0.0, 0.5]])
            .unwrap();
    let optimum = Optimum::of(&channel).unwrap();
    assert!(optimum.on_boundary(&channel).unwrap());
    let thin = ThinPid::run(&channel, &ThinPidConfig::default()).unwrap();
    assert!(thin.on_boundary());
    assert!(thin.union_raw_bits.is_none(), "{:?}", thin.union_raw_bits);
    assert_ne!(thin.stop, Stop::Converged);
    assert!(thin.atoms(&channel).is_err() && thin.atoms_clamped(&channel).is_err());
}

#[test]
fn too_few_items_and_redundant_columns_are_named() {
    let mut rng = stream(5);
    let (y, x) = (normal(12, 2, &mut rng), normal(12, 6, &mut rng));
    let few = Samples::new(y.as_ref(), x.as_ref(), x.as_ref()).unwrap_err();
    assert_eq!(
        few,
        PidError::TooFewItems {
            n_items: 12,
            n_items_min: 16
        }
    );
    let y = normal(200, 1, &mut rng);
    let x = normal(200, 2, &mut rng);
    let doubled = Mat::from_fn(200, 3, |i, j| {
        if j < 2 {
            x[(i, j)]
        } else {
            x[(i, 0)] + x[(i, 1)]
        }
    });
    let samples = Samples::new(y.as_ref(), doubled.as_ref(), x.as_ref()).unwrap();
    assert_eq!(samples.atoms(), Err(PidError::SingularNoise { source: 1 }));
}

#[test]
fn huge_and_tiny_scales_do_not_matter() {
    let mut rng = stream(6);
    let samples = normal(300, 5, &mut rng);
    let dims = Dims { y: 1, x1: 2, x2: 2 };
    let scaled = Mat::from_fn(300, 5, |i, j| {
        samples[(i, j)] * [1e-8, 1e6, 1e6, 1e-5, 1e-5][j]
    });
    let atoms = |s: &Mat<f64>| {
        let covariance = covariance(s.as_ref());
        Atoms::of_channel(&Channel::from_covariance(covariance.as_ref(), dims).unwrap()).unwrap()
    };
    assert!(atoms(&samples).distance_max(&atoms(&scaled)) < 1e-11);
}

/// Channels at which some formula breaks down, by name.
fn degenerate_channels() -> Vec<(&'static str, Channel)> {
    let h = normal(3, 2, &mut stream(11));
    let low_rank = mat![[1.0, 2.0, 0.0], [0.5, 1.0, 0.0], [-1.0, -2.0, 0.0]];
    let mixed = mat![[0.0, 1.0, 1.0], [0.0, 2.0, 2.0]];
    let build = |h1: Mat<f64>, h2: Mat<f64>| Channel::with_independent_noise(h1, h2).unwrap();
    vec![
        ("equal channels", build(h.clone(), h.clone())),
        (
            "one shared direction",
            build(mat![[1.0, 0.0], [0.0, 2.0]], mat![[1.0, 0.0], [0.0, 0.5]]),
        ),
        ("rank deficient", build(low_rank, mixed)),
        ("silent source", build(h.clone(), Mat::zeros(2, 2))),
        ("both silent", build(Mat::zeros(2, 2), Mat::zeros(1, 2))),
        ("large target", random_channel(2, 3, 12, &mut stream(12))),
        ("unequal sources", random_channel(1, 40, 3, &mut stream(13))),
    ]
}

#[test]
fn every_solver_has_a_defined_answer_on_every_degenerate_channel() {
    let solvers = [
        Solver::ClosedForm,
        Solver::ThinPid(ThinPidConfig::default()),
        Solver::ReducedThinPid(ThinPidConfig::default()),
        Solver::TildePid(TildePidConfig::published()),
        Solver::TildePid(TildePidConfig::lean()),
    ];
    let mut n_without_objective = 0;
    for (name, channel) in degenerate_channels() {
        let truth = Atoms::of_channel(&channel).unwrap();
        for solver in solvers {
            let solution = solver.solve(&channel).unwrap();
            let label = format!("{name}, {}", solver.name());
            // Raw, or as a limit from within: never a number made up by a clamp.
            match solution.atoms() {
                Ok(_) => {}
                Err(PidError::NoFiniteObjective { .. }) => {
                    assert!(solution.on_boundary(), "{label}");
                    n_without_objective += 1;
                }
                Err(other) => panic!("{label}: {other}"),
            }
            let error = solution.atoms_within().unwrap().distance_max(&truth);
            let bar = if solver == Solver::ClosedForm {
                1e-12
            } else {
                5e-6
            };
            assert!(error < bar, "{label}: {error:e}");
            let (d1, d2) = (channel.dims().x1, channel.dims().x2);
            assert_eq!(solution.coupling().unwrap().shape(), (d1, d2), "{label}");
        }
        assert!(
            Solver::Mmi.solve(&channel).unwrap().gap_bits().unwrap() < 1e-12,
            "{name}"
        );
    }
    assert!(n_without_objective > 0, "no channel was degenerate enough");
}
