//! The models: their parameters and their logits as a graph on candle.

use candle_core::{Result, Tensor};

/// Slope of the rectifier below zero (Table D.3).
const LEAK: f64 = 0.2;

/// A classifier of two sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    /// Sum of one classifier a source.
    Additive,
    /// One perceptron of both sources.
    Early,
    /// Elementwise product of hidden sources.
    Elementwise,
    /// Bilinear form of hidden sources.
    Bilinear,
    /// Bilinear form of low rank.
    LowRank,
}

/// Sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub x1: usize,
    pub x2: usize,
    pub hidden: usize,
    pub rank: usize,
    pub classes: usize,
}

/// One matrix of parameters; its entries start uniform within `1/√fan_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub rows: usize,
    pub columns: usize,
    pub fan_in: usize,
}

/// Both sources, `items × columns`, and a factor per hidden unit for dropout.
pub(super) struct Batch {
    pub x1: Tensor,
    pub x2: Tensor,
    /// `items × hidden` each; `None` where nothing is dropped.
    pub keep: Option<[Tensor; 2]>,
}

impl Fusion {
    /// All models, in the order of their names in the paper.
    pub const ALL: [Self; 5] = [
        Self::Additive,
        Self::Elementwise,
        Self::Bilinear,
        Self::LowRank,
        Self::Early,
    ];

    /// The name in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Additive => "additive",
            Self::Early => "early",
            Self::Elementwise => "elementwise",
            Self::Bilinear => "bilinear",
            Self::LowRank => "low-rank",
        }
    }

    /// The parameters in the order in which [`Fusion::logits`] reads them.
    pub(super) fn blocks(self, sizes: Sizes) -> Vec<Block> {
        let Sizes {
            x1,
            x2,
            hidden,
            rank,
            classes,
        } = sizes;
        let layer = |rows: usize, columns: usize| {
            let fan_in = rows;
            let weights = Block {
                rows,
                columns,
                fan_in,
            };
            [weights, Block { rows: 1, ..weights }]
        };
        let no_bias = |rows: usize, columns: usize, fan_in: usize| Block {
            rows,
            columns,
            fan_in,
        };
        let first = match self {
            Self::Early => [layer(x1 + x2, hidden), layer(hidden, hidden)],
            _ => [layer(x1, hidden), layer(x2, hidden)],
        };
        let mut blocks = first.concat();
        match self {
            Self::Early | Self::Elementwise => blocks.extend(layer(hidden, classes)),
            Self::Additive => {
                blocks.push(no_bias(hidden, classes, hidden));
                blocks.extend(layer(hidden, classes));
            }
            Self::Bilinear => {
                blocks.push(no_bias(hidden, classes, hidden));
                blocks.push(no_bias(hidden, hidden * classes, hidden * hidden));
                blocks.extend(layer(hidden, classes));
            }
            Self::LowRank => {
                blocks.extend(layer(hidden, rank * classes));
                blocks.extend(layer(hidden, rank * classes));
                blocks.push(no_bias(1, classes, hidden));
            }
        }
        blocks
    }

    /// The logits, `items × classes`.
    pub(super) fn logits(self, sizes: Sizes, params: &[Tensor], batch: &Batch) -> Result<Tensor> {
        let (n, classes) = (batch.x1.dim(0)?, sizes.classes);
        let layer = |k: usize, x: &Tensor| x.matmul(&params[k])?.broadcast_add(&params[k + 1]);
        let drop = |k: usize, h: Tensor| match &batch.keep {
            Some(keep) => h * &keep[k],
            None => Ok(h),
        };
        if self == Self::Early {
            let both = Tensor::cat(&[&batch.x1, &batch.x2], 1)?;
            let first = drop(0, leaky(&layer(0, &both)?)?)?;
            return layer(4, &drop(1, leaky(&layer(2, &first)?)?)?);
        }
        let h1 = drop(0, leaky(&layer(0, &batch.x1)?)?)?;
        let h2 = drop(1, leaky(&layer(2, &batch.x2)?)?)?;
        match self {
            Self::Elementwise => layer(4, &(h1 * h2)?),
            Self::Additive => h1.matmul(&params[4])? + layer(5, &h2)?,
            Self::Bilinear => {
                let mixed = h1.matmul(&params[5])?.reshape((n, classes, sizes.hidden))?;
                let form = mixed.broadcast_mul(&h2.unsqueeze(1)?)?.sum(2)?;
                form + (h1.matmul(&params[4])? + layer(6, &h2)?)?
            }
            _ => {
                let product = (layer(4, &h1)? * layer(6, &h2)?)?;
                let summed = product.reshape((n, sizes.rank, classes))?.sum(1)?;
                summed.broadcast_add(&params[8])
            }
        }
    }
}

fn leaky(x: &Tensor) -> Result<Tensor> {
    x.maximum(&(x * LEAK)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const SIZES: Sizes = Sizes {
        x1: 2,
        x2: 3,
        hidden: 2,
        rank: 2,
        classes: 3,
    };

    fn tensor(rows: usize, columns: usize, shift: usize) -> Tensor {
        let values: Vec<f64> = (0..rows * columns)
            .map(|k| (0.7 * (k + shift) as f64).sin())
            .collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    fn rows(t: &Tensor) -> Vec<Vec<f64>> {
        t.to_vec2().unwrap()
    }

    /// Every model against sums written out by hand.
    #[test]
    fn logits_are_those_of_the_formulas() {
        let batch = Batch {
            x1: tensor(4, 2, 1),
            x2: tensor(4, 3, 9),
            keep: None,
        };
        for model in Fusion::ALL {
            let blocks = model.blocks(SIZES);
            let params: Vec<Tensor> = blocks
                .iter()
                .enumerate()
                .map(|(k, block)| tensor(block.rows, block.columns, 5 * k + 2))
                .collect();
            let found = rows(&model.logits(SIZES, &params, &batch).unwrap());
            let p: Vec<Vec<Vec<f64>>> = params.iter().map(rows).collect();
            let (x1, x2) = (rows(&batch.x1), rows(&batch.x2));
            for (i, row) in found.iter().enumerate() {
                for (c, logit) in row.iter().enumerate() {
                    let error = (logit - by_hand(model, &p, &x1[i], &x2[i], c)).abs();
                    assert!(error < 1e-13, "{}: {error:e}", model.as_str());
                }
            }
            assert_eq!((found.len(), found[0].len()), (4, 3));
        }
    }

    fn dense(weights: &[Vec<f64>], bias: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
        let each = |j: usize| -> f64 {
            let products = x.iter().enumerate().map(|(i, x)| x * weights[i][j]);
            bias[0][j] + products.sum::<f64>()
        };
        (0..bias[0].len()).map(each).collect()
    }

    fn hidden(weights: &[Vec<f64>], bias: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
        let out = dense(weights, bias, x).into_iter();
        out.map(|v| if v > 0.0 { v } else { 0.2 * v }).collect()
    }

    fn by_hand(model: Fusion, p: &[Vec<Vec<f64>>], x1: &[f64], x2: &[f64], c: usize) -> f64 {
        if model == Fusion::Early {
            let first = hidden(&p[0], &p[1], &[x1, x2].concat());
            return dense(&p[4], &p[5], &hidden(&p[2], &p[3], &first))[c];
        }
        let (h1, h2) = (hidden(&p[0], &p[1], x1), hidden(&p[2], &p[3], x2));
        let linear = |k: usize, h: &[f64]| h[0] * p[k][0][c] + h[1] * p[k][1][c];
        match model {
            Fusion::Additive => linear(4, &h1) + linear(5, &h2) + p[6][0][c],
            Fusion::Elementwise => linear(4, &[h1[0] * h2[0], h1[1] * h2[1]]) + p[5][0][c],
            Fusion::Bilinear => {
                let mut form = 0.0;
                for i in 0..2 {
                    for j in 0..2 {
                        form += h1[i] * p[5][i][2 * c + j] * h2[j];
                    }
                }
                form + linear(4, &h1) + linear(6, &h2) + p[7][0][c]
            }
            _ => {
                let (f1, f2) = (dense(&p[4], &p[5], &h1), dense(&p[6], &p[7], &h2));
                f1[c] * f2[c] + f1[3 + c] * f2[3 + c] + p[8][0][c]
            }
        }
    }

    #[test]
    fn gradients_are_the_slopes_of_the_logits() {
        let batch = Batch {
            x1: tensor(4, 2, 1),
            x2: tensor(4, 3, 9),
            keep: Some([tensor(4, 2, 3), tensor(4, 2, 4)]),
        };
        for model in Fusion::ALL {
            let values: Vec<Tensor> = model
                .blocks(SIZES)
                .iter()
                .enumerate()
                .map(|(k, block)| tensor(block.rows, block.columns, 5 * k + 2))
                .collect();
            let total = |params: &[Tensor]| {
                let logits = model.logits(SIZES, params, &batch).unwrap();
                (&logits * &logits).unwrap().sum_all().unwrap()
            };
            let vars: Vec<candle_core::Var> = values
                .iter()
                .map(|value| candle_core::Var::from_tensor(value).unwrap())
                .collect();
            let params: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
            let grads = total(&params).backward().unwrap();
            for (k, value) in values.iter().enumerate() {
                let shift = |sign: f64| {
                    let mut entries = rows(value);
                    entries[0][0] += sign * 1e-5;
                    let flat: Vec<f64> = entries.into_iter().flatten().collect();
                    let mut moved = values.clone();
                    moved[k] = Tensor::from_vec(flat, value.shape(), &Device::Cpu).unwrap();
                    total(&moved).to_scalar::<f64>().unwrap()
                };
                let slope = (shift(1.0) - shift(-1.0)) / 2e-5;
                let found = rows(grads.get(&vars[k]).unwrap())[0][0];
                assert!((slope - found).abs() < 1e-7, "{} {k}", model.as_str());
            }
        }
    }
}
