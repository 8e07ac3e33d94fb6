//! Three flows and two base distributions as one differentiable loss.

use candle_core::{Device, Tensor, Var};
use faer::{Mat, MatRef};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::base::PairLoss;
use super::layers::{Coupling, Layer};
use super::op::{LayerOp, PairOp};
use super::spline::Spline;
use crate::channel::Dims;
use crate::error::PidError;

/// The stack of layers of each flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// RealNVP (Table C.2): `blocks` times an affine coupling, parity alternating, then ActNorm.
    RealNvp {
        /// Number of couplings. Paper: 6.
        blocks: usize,
    },
    /// A linear map in triangular factors, then a monotone rational-quadratic spline per
    /// coordinate, `blocks` times.
    Spline {
        /// Number of repetitions.
        blocks: usize,
        /// Bins of each spline.
        bins: usize,
    },
}

/// The Gaussian that a pair of latents is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// Trainable mean and covariance `WᵀW + σ²I` with `dy` rows in `W`: the official code.
    GaussianPca,
    /// Mean and covariance of the batch itself: the text of the paper. Needs batches larger than
    /// the pair has dimensions.
    MaximumLikelihood,
}

impl Base {
    /// The word used in conditions of cells.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GaussianPca => "gaussian-pca",
            Self::MaximumLikelihood => "maximum-likelihood",
        }
    }
}

/// Flows of target, source 1, and source 2 (in this order) with the bases of both pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowModel {
    dims: Dims,
    base: Base,
    layers: [Vec<Layer>; 3],
    /// Parameters of all layers, target first, then of the two bases.
    pub(super) params: Vec<Vec<f64>>,
}

impl FlowModel {
    /// A model at its start, where every flow is the identity.
    ///
    /// # Errors
    /// [`PidError::Config`] where the architecture makes no sense.
    pub fn new(
        dims: Dims,
        architecture: Architecture,
        base: Base,
        rng: &mut impl Rng,
    ) -> Result<Self, PidError> {
        let bad = |knob, must| Err(PidError::Config { knob, must });
        let (Architecture::RealNvp { blocks } | Architecture::Spline { blocks, .. }) = architecture;
        if blocks == 0 || blocks > 100 {
            return bad("blocks", "from 1 to 100");
        }
        if let Architecture::Spline { bins, .. } = architecture
            && !(2..=1000).contains(&bins)
        {
            return bad("bins", "from 2 to 1000");
        }
        let layers = [dims.y, dims.x1, dims.x2].map(|dim| stack(dim, architecture));
        let mut params: Vec<Vec<f64>> = layers
            .iter()
            .flatten()
            .map(|layer| layer.initial(rng))
            .collect();
        let mut model = Self {
            dims,
            base,
            layers,
            params: Vec::new(),
        };
        for pair in model.pairs() {
            params.push(pair.initial(|| StandardNormal.sample(rng)));
        }
        model.params = params;
        Ok(model)
    }

    /// Number of trainable numbers.
    #[must_use]
    pub fn n_params(&self) -> usize {
        self.params.iter().map(Vec::len).sum()
    }

    fn pairs(&self) -> [PairLoss; 2] {
        [self.dims.x1, self.dims.x2].map(|dim_x| PairLoss {
            dim_x,
            dim_y: self.dims.y,
            base: self.base,
        })
    }

    /// First parameter block of a variable (0 target, 1 and 2 sources; 3 the bases).
    fn first(&self, variable: usize) -> usize {
        self.layers[..variable].iter().map(Vec::len).sum()
    }

    /// Data-dependent start of every ActNorm, from these states.
    pub(super) fn adapt(&mut self, states: &[Vec<f64>; 3]) {
        for (variable, state) in states.iter().enumerate() {
            let first = self.first(variable);
            let mut state = state.clone();
            for (k, layer) in self.layers[variable].iter().enumerate() {
                let params = &mut self.params[first + k];
                layer.adapt(params, &state);
                state = layer.forward(params, &state).0;
            }
        }
    }

    /// The sum of both pair losses in nats and its gradient by parameter block.
    pub(super) fn loss_and_gradient(
        &self,
        states: &[Vec<f64>; 3],
    ) -> candle_core::Result<(f64, Vec<Vec<f64>>)> {
        let vars = self
            .params
            .iter()
            .map(|block| Var::from_slice(block, block.len(), &Device::Cpu))
            .collect::<candle_core::Result<Vec<Var>>>()?;
        let loss = self.loss(states, &vars)?;
        let grads = loss.backward()?;
        let blocks = vars
            .iter()
            .map(|var| match grads.get(var) {
                Some(grad) => super::op::values(grad),
                None => candle_core::bail!("a parameter block has no gradient"),
            })
            .collect::<candle_core::Result<_>>()?;
        Ok((loss.to_scalar()?, blocks))
    }

    fn loss(&self, states: &[Vec<f64>; 3], vars: &[Var]) -> candle_core::Result<Tensor> {
        let latents = (0..3)
            .map(|variable| {
                let n_columns = self.dim(variable) + 1;
                let state = &states[variable];
                let shape = (n_columns, state.len() / n_columns);
                let mut state = Tensor::from_slice(state, shape, &Device::Cpu)?;
                let first = self.first(variable);
                for (k, layer) in self.layers[variable].iter().enumerate() {
                    state = LayerOp::apply(*layer, &state, &vars[first + k])?;
                }
                Ok(state)
            })
            .collect::<candle_core::Result<Vec<Tensor>>>()?;
        let [pair1, pair2] = self.pairs();
        let bases = self.first(3);
        let loss1 = PairOp::apply(pair1, &latents[1], &latents[0], &vars[bases])?;
        let loss2 = PairOp::apply(pair2, &latents[2], &latents[0], &vars[bases + 1])?;
        loss1 + loss2
    }

    fn dim(&self, variable: usize) -> usize {
        [self.dims.y, self.dims.x1, self.dims.x2][variable]
    }

    /// Latents and log-determinants (nats) of the target (0) or a source (1, 2), one item a row.
    ///
    /// # Errors
    /// [`PidError::Dimensions`] where the columns are not the variable's.
    pub fn map(
        &self,
        variable: usize,
        data: MatRef<'_, f64>,
    ) -> Result<(Mat<f64>, Vec<f64>), PidError> {
        let variable = variable.min(2);
        let (n, dim) = (data.nrows(), self.dim(variable));
        if data.ncols() != dim {
            return Err(PidError::Dimensions {
                what: "the data of a flow",
                expected: (n, dim),
                found: data.shape(),
            });
        }
        let items: Vec<usize> = (0..n).collect();
        let mut state = state_of(data, &items);
        let first = self.first(variable);
        for (k, layer) in self.layers[variable].iter().enumerate() {
            state = layer.forward(&self.params[first + k], &state).0;
        }
        let latent = Mat::from_fn(n, dim, |i, k| state[k * n + i]);
        Ok((latent, state.split_off(dim * n)))
    }
}

/// The state at the start: the coordinates of some items and a log-determinant of 0.
pub(super) fn state_of(data: MatRef<'_, f64>, items: &[usize]) -> Vec<f64> {
    let mut state = Vec::with_capacity(items.len() * (data.ncols() + 1));
    for k in 0..data.ncols() {
        let column = data.col(k);
        state.extend(items.iter().map(|item| column[*item]));
    }
    state.resize(items.len() * (data.ncols() + 1), 0.0);
    state
}

fn stack(dim: usize, architecture: Architecture) -> Vec<Layer> {
    match architecture {
        Architecture::RealNvp { blocks } => (0..blocks)
            .flat_map(|block| {
                let keeps_even = block % 2 == 0;
                [
                    Layer::Coupling(Coupling { dim, keeps_even }),
                    Layer::ActNorm { dim },
                ]
            })
            .collect(),
        Architecture::Spline { blocks, bins } => (0..blocks)
            .flat_map(|_| [Layer::Linear { dim }, Layer::Spline(Spline { dim, bins })])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::engine::Stream;
    use rand::SeedableRng;

    const DIMS: Dims = Dims { y: 2, x1: 4, x2: 3 };

    fn data(n: usize, columns: usize, rng: &mut Stream) -> Mat<f64> {
        Mat::from_fn(n, columns, |_, _| StandardNormal.sample(rng))
    }

    /// A model off its start: every parameter moved, so that no gradient is zero by symmetry.
    fn model(architecture: Architecture, base: Base, dims: Dims, rng: &mut Stream) -> FlowModel {
        let mut model = FlowModel::new(dims, architecture, base, rng).unwrap();
        for value in model.params.iter_mut().flatten() {
            let noise: f64 = StandardNormal.sample(rng);
            *value += 0.2 * noise;
        }
        model
    }

    fn states(dims: Dims, rng: &mut Stream) -> [Vec<f64>; 3] {
        let items: Vec<usize> = (0..20).collect();
        [dims.y, dims.x1, dims.x2].map(|d| state_of(data(20, d, rng).as_ref(), &items))
    }

    fn check_gradient(architecture: Architecture, base: Base, dims: Dims) {
        const STEP: f64 = 1e-5;
        let mut rng = Stream::seed_from_u64(7);
        let mut model = model(architecture, base, dims, &mut rng);
        let states = states(dims, &mut rng);
        let (_, grads) = model.loss_and_gradient(&states).unwrap();
        let mut n_checked = 0;
        let mut largest = 0.0_f64;
        for (block, exact) in grads.iter().enumerate() {
            // Every seventh parameter keeps the test short and hits every kind.
            for k in (0..exact.len()).step_by(7) {
                let at = model.params[block][k];
                let mut loss = |value: f64| {
                    model.params[block][k] = value;
                    model.loss_and_gradient(&states).unwrap().0
                };
                let numeric = (loss(at + STEP) - loss(at - STEP)) / (2.0 * STEP);
                model.params[block][k] = at;
                let exact = exact[k];
                largest = largest.max(exact.abs());
                assert!(
                    (numeric - exact).abs() < 1e-6 * (1.0 + exact.abs()),
                    "{architecture:?} {base:?} block {block} {k}: {numeric} {exact}"
                );
                n_checked += 1;
            }
        }
        assert!(n_checked > 30 && largest > 1e-2, "{n_checked} {largest}");
    }

    #[test]
    fn gradients_of_realnvp_match_finite_differences() {
        let architecture = Architecture::RealNvp { blocks: 2 };
        check_gradient(architecture, Base::GaussianPca, DIMS);
        check_gradient(architecture, Base::MaximumLikelihood, DIMS);
    }

    #[test]
    fn gradients_of_splines_and_linear_maps_match_finite_differences() {
        let architecture = Architecture::Spline { blocks: 2, bins: 5 };
        check_gradient(architecture, Base::GaussianPca, DIMS);
        check_gradient(architecture, Base::MaximumLikelihood, DIMS);
    }

    #[test]
    fn gradients_hold_for_scalars_too() {
        let dims = Dims { y: 1, x1: 1, x2: 2 };
        let architecture = Architecture::RealNvp { blocks: 3 };
        check_gradient(architecture, Base::GaussianPca, dims);
    }

    /// `ln |det|` of the Jacobian at a point, by central differences.
    fn numeric_log_det(model: &FlowModel, variable: usize, point: &[f64]) -> f64 {
        const STEP: f64 = 1e-5;
        let dim = point.len();
        let moved = Mat::from_fn(2 * dim, dim, |i, k| {
            let sign = if i % 2 == 0 { STEP } else { -STEP };
            point[k] + if i / 2 == k { sign } else { 0.0 }
        });
        let (latent, _) = model.map(variable, moved.as_ref()).unwrap();
        let jacobian = Mat::from_fn(dim, dim, |i, k| {
            (latent[(2 * k, i)] - latent[(2 * k + 1, i)]) / (2.0 * STEP)
        });
        jacobian.determinant().abs().ln()
    }

    #[test]
    fn log_determinants_are_those_of_the_jacobian() {
        let mut rng = Stream::seed_from_u64(3);
        for architecture in [
            Architecture::RealNvp { blocks: 3 },
            Architecture::Spline { blocks: 2, bins: 6 },
        ] {
            let model = model(architecture, Base::GaussianPca, DIMS, &mut rng);
            let mut spread = 0.0_f64;
            for variable in 0..3 {
                let dim = model.dim(variable);
                for _ in 0..5 {
                    let point = data(1, dim, &mut rng);
                    let (_, log_det) = model.map(variable, point.as_ref()).unwrap();
                    let row: Vec<f64> = point.row(0).iter().copied().collect();
                    let expected = numeric_log_det(&model, variable, &row);
                    assert!((log_det[0] - expected).abs() < 1e-6, "{architecture:?}");
                    spread = spread.max(expected.abs());
                }
            }
            assert!(spread > 0.1);
        }
    }

    #[test]
    fn at_the_start_a_spline_flow_is_the_identity() {
        let mut rng = Stream::seed_from_u64(4);
        let architecture = Architecture::Spline { blocks: 1, bins: 8 };
        let model = FlowModel::new(DIMS, architecture, Base::GaussianPca, &mut rng).unwrap();
        let points = data(50, 4, &mut rng) * 6.0;
        let (latent, log_det) = model.map(1, points.as_ref()).unwrap();
        assert!((latent - points).norm_max() < 1e-12);
        assert!(log_det.iter().all(|value| value.abs() < 1e-12));
    }

    #[test]
    fn architectures_that_make_no_sense_are_refused() {
        let mut rng = Stream::seed_from_u64(5);
        let refuse = |architecture, rng: &mut Stream| {
            FlowModel::new(DIMS, architecture, Base::GaussianPca, rng).unwrap_err()
        };
        let error = refuse(Architecture::RealNvp { blocks: 0 }, &mut rng);
        assert!(error.to_string().contains("blocks"));
        let error = refuse(Architecture::Spline { blocks: 1, bins: 1 }, &mut rng);
        assert!(error.to_string().contains("bins"));
    }
}
