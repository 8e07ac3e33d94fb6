//! What must hold for every Gaussian system.

use faer::Mat;
use flow_pid::linalg::{
    block_diagonal, identity_plus_gram, scale_columns, spectral_norm, symmetric_eigen,
};
use flow_pid::objective::objective_bits;
use flow_pid::{Atoms, Channel, Dims, Optimum};
use proptest::prelude::*;

use crate::{normal, stream};

/// A system with correlated noises: `cross` is a random contraction.
fn system(seed: u64, dims: Dims) -> Channel {
    let mut rng = stream(seed);
    let h1 = normal(dims.x1, dims.y, &mut rng);
    let h2 = normal(dims.x2, dims.y, &mut rng);
    let free = normal(dims.x1, dims.x2, &mut rng);
    let norm = spectral_norm(free.as_ref()).unwrap();
    Channel::new(h1, h2, free * faer::Scale(0.7 / norm)).unwrap()
}

/// A well conditioned invertible map: singular values between 1/2 and 2.
fn map(size: usize, seed: u64) -> Mat<f64> {
    let mut rng = stream(seed);
    let left = normal(size, size, &mut rng).qr().compute_Q();
    let right = normal(size, size, &mut rng).qr().compute_Q();
    scale_columns(left.as_ref(), |k| if k % 2 == 0 { 0.5 } else { 2.0 }) * right
}

fn symmetric(a: &Mat<f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| 0.5 * (a[(i, j)] + a[(j, i)]))
}

prop_compose! {
    fn any_dims()(y in 1..7_usize, x1 in 1..7_usize, x2 in 1..7_usize) -> Dims {
        Dims { y, x1, x2 }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn atoms_are_not_negative_and_add_up(seed in 0..1_000_000_u64, dims in any_dims()) {
        let atoms = Atoms::of_channel(&system(seed, dims)).unwrap();
        for (name, part) in flow_pid::ATOM_NAMES.into_iter().zip(atoms.parts()) {
            prop_assert!(part > -1e-11, "{name} = {part:e}");
        }
        prop_assert!((atoms.parts().iter().sum::<f64>() - atoms.info12).abs() < 1e-11);
        prop_assert!((atoms.redundancy + atoms.unique1 - atoms.info1).abs() < 1e-11);
        prop_assert!((atoms.redundancy + atoms.unique2 - atoms.info2).abs() < 1e-11);
        let co_information = atoms.info1 + atoms.info2 - atoms.info12;
        prop_assert!((atoms.redundancy - atoms.synergy - co_information).abs() < 1e-11);
    }

    #[test]
    fn the_true_coupling_has_at_least_the_union_information(
        seed in 0..1_000_000_u64, dims in any_dims(),
    ) {
        let channel = system(seed, dims);
        let optimum = Optimum::of(&channel).unwrap();
        let value = objective_bits(&channel, channel.cross()).unwrap();
        prop_assert!(value >= optimum.union_bits - 1e-11);
        // The objective at the true coupling is the true joint information.
        prop_assert!((value - channel.info12_bits().unwrap()).abs() < 1e-10);
    }

    #[test]
    fn linear_maps_change_no_atom(seed in 0..1_000_000_u64, dims in any_dims()) {
        let channel = system(seed, dims);
        let (map1, map2) = (map(dims.x1, seed ^ 1), map(dims.x2, seed ^ 2));
        let sources = block_diagonal(map1.as_ref(), map2.as_ref());
        let all = block_diagonal(map(dims.y, seed ^ 3).as_ref(), sources.as_ref());
        let mapped = symmetric(&(&all * channel.covariance() * all.transpose()));
        let mapped = Channel::from_covariance(mapped.as_ref(), dims).unwrap();
        let before = Atoms::of_channel(&channel).unwrap();
        prop_assert!(before.distance_max(&Atoms::of_channel(&mapped).unwrap()) < 1e-9);
    }

    #[test]
    fn independent_systems_add_up(
        seed in 0..1_000_000_u64, one in any_dims(), two in any_dims(),
    ) {
        let (a, b) = (system(seed, one), system(seed + 1, two));
        let joint = Atoms::of_channel(&a.beside(&b)).unwrap();
        let (a, b) = (Atoms::of_channel(&a).unwrap(), Atoms::of_channel(&b).unwrap());
        for (k, part) in joint.parts().into_iter().enumerate() {
            prop_assert!((part - a.parts()[k] - b.parts()[k]).abs() < 1e-10);
        }
    }

    #[test]
    fn exchanging_the_sources_exchanges_their_unique_parts(
        seed in 0..1_000_000_u64, dims in any_dims(),
    ) {
        let channel = system(seed, dims);
        let atoms = Atoms::of_channel(&channel).unwrap();
        let [r, u1, u2, s] = Atoms::of_channel(&channel.swapped()).unwrap().parts();
        for (a, b) in atoms.parts().into_iter().zip([r, u2, u1, s]) {
            prop_assert!((a - b).abs() < 1e-11);
        }
    }

    #[test]
    fn the_optimal_posterior_is_below_both_posteriors_and_the_coupling_in_the_ball(
        seed in 0..1_000_000_u64, dims in any_dims(),
    ) {
        let channel = system(seed, dims);
        let optimum = Optimum::of(&channel).unwrap();
        for h in [channel.h1(), channel.h2()] {
            // W below P is the same as the precisions the other way round.
            let excess = optimum.precision() - identity_plus_gram(h);
            let (values, _) = symmetric_eigen(excess.as_ref()).unwrap();
            prop_assert!(values[0] > -1e-11);
        }
        let coupling = optimum.coupling(&channel).unwrap();
        prop_assert!(spectral_norm(coupling.as_ref()).unwrap() < 1.0 + 1e-11);
        prop_assert!(optimum.certificate().unwrap().gap_bits().abs() < 1e-11);
    }

    #[test]
    fn no_random_coupling_beats_the_optimum(seed in 0..1_000_000_u64, dims in any_dims()) {
        let channel = system(seed, dims);
        let least = Optimum::of(&channel).unwrap().union_bits;
        let mut rng = stream(seed ^ 7);
        for _ in 0..10 {
            let free = normal(dims.x1, dims.x2, &mut rng);
            let norm = spectral_norm(free.as_ref()).unwrap();
            let coupling = free * faer::Scale(0.95 / norm);
            prop_assert!(objective_bits(&channel, coupling.as_ref()).unwrap() > least - 1e-11);
        }
    }

    #[test]
    fn the_clamp_makes_every_atom_non_negative(
        info1 in 0.0..3.0_f64, info2 in 0.0..3.0_f64, extra in -0.1..2.0_f64, off in -1.0..4.0_f64,
    ) {
        let info12 = (info1.max(info2) + extra).max(0.0);
        let atoms = Atoms::of_union_clamped(info1, info2, info12, off);
        prop_assert!(atoms.parts().into_iter().all(|part| part >= -1e-15), "{atoms:?}");
    }
}
