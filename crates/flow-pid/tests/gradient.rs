//! The exact gradient against central differences.

use faer::Mat;
use flow_pid::linalg::{NATS_PER_BIT, spectral_norm};
use flow_pid::objective::{gradient_nats, objective_bits};

use crate::{normal, random_channel, stream};

/// Central differences of step h err by `h² L'''/6` and by rounding `ε/h`; at `h = 1e-5` both are
/// about `1e-10` where the coupling keeps away from the boundary.
const STEP: f64 = 1e-5;

#[test]
fn the_gradient_is_the_derivative_of_the_objective() {
    let mut rng = stream(1);
    for (d1, d2, dy) in [(1, 1, 1), (4, 3, 3), (2, 5, 4), (3, 3, 7), (8, 6, 2)] {
        let channel = random_channel(d1, d2, dy, &mut rng);
        let free = normal(d1, d2, &mut rng);
        let coupling = &free * faer::Scale(0.6 / spectral_norm(free.as_ref()).unwrap());
        let gradient = gradient_nats(&channel, coupling.as_ref(), 0.0).unwrap();
        for i in 0..d1 {
            for j in 0..d2 {
                let value = |sign: f64| {
                    let mut moved: Mat<f64> = coupling.clone();
                    moved[(i, j)] += sign * STEP;
                    objective_bits(&channel, moved.as_ref()).unwrap()
                };
                let difference = NATS_PER_BIT * (value(1.0) - value(-1.0)) / (2.0 * STEP);
                let error = (difference - gradient[(i, j)]).abs();
                assert!(error < 2e-9, "({d1}, {d2}, {dy}) at ({i}, {j}): {error:e}");
            }
        }
    }
}
