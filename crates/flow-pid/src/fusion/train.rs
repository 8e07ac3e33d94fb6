//! Training a fusion model and counting what it gets right on items it has not seen.

use candle_core::{Device, Tensor, Var};
use eval::engine::Stream;
use eval::{Error, Result};
use faer::{Mat, MatRef};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::models::{Batch, Fusion, Sizes};
use crate::data::standardise;
use crate::error::PidError;
use crate::flow::adam::{AdamStep, adam};

/// Of so many items of a class, so many train; the others are counted.
const TRAIN_OF: (usize, usize) = (7, 10);

/// How fusion models are trained. Paper (Table D.3): hidden 512, dropout 0.1, batch 128, 100
/// epochs, rate `1e-4`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionSettings {
    /// Hidden units a source.
    pub hidden: usize,
    /// Rank of LOWER. Paper: 32.
    pub rank: usize,
    /// Share of hidden units that are dropped.
    pub dropout: f64,
    /// Steps of Adam, whatever the number of items.
    pub steps: u64,
    /// Items of a step.
    pub batch: usize,
    /// Learning rate.
    pub rate: f64,
}

impl Default for FusionSettings {
    fn default() -> Self {
        Self {
            hidden: 64,
            rank: 8,
            dropout: 0.1,
            steps: 600,
            batch: 64,
            rate: 1e-3,
        }
    }
}

impl FusionSettings {
    /// Refuses settings with which training makes no sense.
    ///
    /// # Errors
    /// [`PidError::Config`] with the knob.
    pub fn check(&self) -> Result<(), PidError> {
        let bad = |knob, must| Err(PidError::Config { knob, must });
        if self.hidden == 0 || self.rank == 0 {
            return bad("hidden` and `rank", "at least 1");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return bad("dropout", "at least 0 and below 1");
        }
        if self.steps == 0 || self.batch == 0 {
            return bad("steps` and `batch", "at least 1");
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return bad("rate", "positive");
        }
        Ok(())
    }
}

/// Share of unseen items whose class the trained model tells. Both sources are standardised; the
/// split keeps the shares of the classes.
///
/// # Errors
/// A setting makes no sense, numbers of items differ, a column is constant or not finite, or a
/// class has fewer than two items.
pub fn accuracy(
    model: Fusion,
    [x1, x2]: [MatRef<'_, f64>; 2],
    classes: &[usize],
    settings: FusionSettings,
    seed: u64,
) -> Result<f64> {
    settings.check()?;
    for (view, what) in [(x1, "source 1"), (x2, "source 2")] {
        if view.nrows() != classes.len() {
            return Err(PidError::Dimensions {
                what,
                expected: (classes.len(), view.ncols()),
                found: view.shape(),
            }
            .into());
        }
    }
    let mut rng = Stream::seed_from_u64(seed);
    let (mut train, test) = split(classes, &mut rng)?;
    let sizes = Sizes {
        x1: x1.ncols(),
        x2: x2.ncols(),
        hidden: settings.hidden,
        rank: settings.rank,
        classes: 1 + classes.iter().copied().max().unwrap_or(0),
    };
    let data = Data {
        x1: standardise(x1)?,
        x2: standardise(x2)?,
        classes,
    };
    let mut trained = Trained::new(model, sizes, &mut rng);
    let batch = settings.batch.min(train.len());
    let per_epoch = (train.len() / batch) as u64;
    for step in 0..settings.steps {
        if step % per_epoch == 0 {
            train.shuffle(&mut rng);
        }
        // The quotient is below the number of batches, which fits.
        let first = (step % per_epoch) as usize * batch;
        trained
            .step(&data, &train[first..first + batch], settings, &mut rng)
            .map_err(in_training)?;
    }
    trained.accuracy(&data, &test).map_err(in_training)
}

fn in_training(cause: candle_core::Error) -> Error {
    Error::internal("a fusion model cannot be trained").caused_by(cause)
}

/// Items that train and items that are counted, each class split alike.
fn split(classes: &[usize], rng: &mut Stream) -> Result<(Vec<usize>, Vec<usize>), PidError> {
    let mut items: Vec<usize> = (0..classes.len()).collect();
    items.shuffle(rng);
    // The sort keeps the order of the shuffle within a class.
    items.sort_by_key(|item| classes[*item]);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for of_class in items.chunk_by(|a, b| classes[*a] == classes[*b]) {
        let n_train = of_class.len() * TRAIN_OF.0 / TRAIN_OF.1;
        if n_train == 0 {
            return Err(PidError::TooFewItems {
                n_items: of_class.len(),
                n_items_min: 2,
            });
        }
        train.extend(&of_class[..n_train]);
        test.extend(&of_class[n_train..]);
    }
    if test.is_empty() {
        return Err(PidError::TooFewItems {
            n_items: classes.len(),
            n_items_min: 2,
        });
    }
    Ok((train, test))
}

struct Data<'a> {
    x1: Mat<f64>,
    x2: Mat<f64>,
    classes: &'a [usize],
}

impl Data<'_> {
    fn batch(&self, items: &[usize]) -> candle_core::Result<Batch> {
        let gathered = |view: &Mat<f64>| {
            let d = view.ncols();
            let values = items
                .iter()
                .flat_map(|item| (0..d).map(|k| view[(*item, k)]));
            Tensor::from_vec(values.collect::<Vec<f64>>(), (items.len(), d), &Device::Cpu)
        };
        Ok(Batch {
            x1: gathered(&self.x1)?,
            x2: gathered(&self.x2)?,
            keep: None,
        })
    }
}

/// A model with its parameters and Adam's moments.
struct Trained {
    model: Fusion,
    sizes: Sizes,
    params: Vec<Vec<f64>>,
    moments: [Vec<Vec<f64>>; 2],
    count: u64,
}

impl Trained {
    fn new(model: Fusion, sizes: Sizes, rng: &mut Stream) -> Self {
        let params: Vec<Vec<f64>> = model
            .blocks(sizes)
            .iter()
            .map(|block| {
                let bound = 1.0 / (block.fan_in.max(1) as f64).sqrt();
                let n = block.rows * block.columns;
                (0..n).map(|_| rng.random_range(-bound..=bound)).collect()
            })
            .collect();
        let zeros: Vec<Vec<f64>> = params.iter().map(|block| vec![0.0; block.len()]).collect();
        Self {
            model,
            sizes,
            params,
            moments: [zeros.clone(), zeros],
            count: 0,
        }
    }

    fn vars(&self) -> candle_core::Result<Vec<Var>> {
        let blocks = self.model.blocks(self.sizes);
        let pairs = self.params.iter().zip(&blocks);
        pairs
            .map(|(values, block)| {
                Var::from_slice(values, (block.rows, block.columns), &Device::Cpu)
            })
            .collect()
    }

    fn step(
        &mut self,
        data: &Data<'_>,
        items: &[usize],
        settings: FusionSettings,
        rng: &mut Stream,
    ) -> candle_core::Result<()> {
        let mut batch = data.batch(items)?;
        if settings.dropout > 0.0 {
            let shape = (items.len(), self.sizes.hidden);
            let kept = 1.0 / (1.0 - settings.dropout);
            let mut mask = || {
                let each = |_| {
                    if rng.random_bool(settings.dropout) {
                        0.0
                    } else {
                        kept
                    }
                };
                let values: Vec<f64> = (0..shape.0 * shape.1).map(each).collect();
                Tensor::from_vec(values, shape, &Device::Cpu)
            };
            batch.keep = Some([mask()?, mask()?]);
        }
        let vars = self.vars()?;
        let params: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let logits = self.model.logits(self.sizes, &params, &batch)?;
        let classes: Vec<usize> = items.iter().map(|item| data.classes[*item]).collect();
        let grads = cross_entropy(&logits, &classes)?.backward()?;
        self.count += 1;
        for (k, var) in vars.iter().enumerate() {
            let Some(grad) = grads.get(var) else {
                candle_core::bail!("parameter block {k} has no gradient");
            };
            let grad: Vec<f64> = grad.flatten_all()?.to_vec1()?;
            let step = AdamStep {
                rate: settings.rate,
                decay: 0.0,
                count: self.count,
            };
            let [first, second] = &mut self.moments;
            adam(
                step,
                &mut self.params[k],
                &grad,
                [&mut first[k], &mut second[k]],
            );
        }
        Ok(())
    }

    fn accuracy(&self, data: &Data<'_>, items: &[usize]) -> candle_core::Result<f64> {
        let vars = self.vars()?;
        let params: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().detach()).collect();
        let logits = self
            .model
            .logits(self.sizes, &params, &data.batch(items)?)?;
        let logits: Vec<Vec<f64>> = logits.to_vec2()?;
        let told = |row: &[f64]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
        let right = logits.iter().zip(items);
        let right = right.filter(|(row, item)| told(row) == Some(data.classes[**item]));
        Ok(right.count() as f64 / items.len() as f64)
    }
}

/// Mean cross entropy in nats.
fn cross_entropy(logits: &Tensor, classes: &[usize]) -> candle_core::Result<Tensor> {
    let (n, n_classes) = logits.dims2()?;
    let one_hot = classes
        .iter()
        .flat_map(|class| (0..n_classes).map(|k| f64::from(u8::from(k == *class))));
    let one_hot: Vec<f64> = one_hot.collect();
    let one_hot = Tensor::from_vec(one_hot, (n, n_classes), &Device::Cpu)?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let normaliser = shifted.exp()?.sum(1)?.log()?;
    (normaliser - (shifted * one_hot)?.sum(1)?)?.mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    fn noise(rows: usize, columns: usize, rng: &mut Stream) -> Mat<f64> {
        Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(rng))
    }

    fn quick() -> FusionSettings {
        FusionSettings {
            hidden: 16,
            steps: 250,
            rate: 5e-3,
            ..FusionSettings::default()
        }
    }

    #[test]
    fn a_product_of_signs_is_out_of_reach_for_the_additive_model_alone() {
        let mut rng = Stream::seed_from_u64(1);
        let (x1, x2) = (noise(1200, 2, &mut rng), noise(1200, 2, &mut rng));
        let xor: Vec<usize> = (0..1200)
            .map(|i| usize::from(x1[(i, 0)] * x2[(i, 0)] > 0.0))
            .collect();
        let of =
            |model: Fusion| accuracy(model, [x1.as_ref(), x2.as_ref()], &xor, quick(), 3).unwrap();
        assert!(of(Fusion::Additive) < 0.65);
        for model in [
            Fusion::Elementwise,
            Fusion::Bilinear,
            Fusion::LowRank,
            Fusion::Early,
        ] {
            assert!(of(model) > 0.8, "{}: {}", model.as_str(), of(model));
        }
    }

    #[test]
    fn every_model_adds_up_and_gives_the_same_again() {
        let mut rng = Stream::seed_from_u64(2);
        let (x1, x2) = (noise(600, 3, &mut rng), noise(600, 2, &mut rng));
        let sum: Vec<usize> = (0..600)
            .map(|i| usize::from(x1[(i, 0)] + x2[(i, 1)] > 0.0) + usize::from(x1[(i, 1)] > 1.0))
            .collect();
        for model in Fusion::ALL {
            let of = || accuracy(model, [x1.as_ref(), x2.as_ref()], &sum, quick(), 4).unwrap();
            assert!(of() > 0.75, "{}: {}", model.as_str(), of());
            assert_eq!(of(), of(), "{}", model.as_str());
        }
    }

    #[test]
    fn classes_keep_their_shares_and_single_items_are_refused() {
        let classes: Vec<usize> = (0..100).map(|i| usize::from(i < 10)).collect();
        let (train, test) = split(&classes, &mut Stream::seed_from_u64(1)).unwrap();
        let of_one = |items: &[usize]| items.iter().filter(|item| classes[**item] == 1).count();
        assert_eq!((train.len(), test.len()), (70, 30));
        assert_eq!((of_one(&train), of_one(&test)), (7, 3));
        let lonely = split(&[0, 0, 1], &mut Stream::seed_from_u64(1));
        assert!(matches!(lonely, Err(PidError::TooFewItems { .. })));
    }

    #[test]
    fn cross_entropy_is_the_textbook_s() {
        let logits =
            Tensor::new(&[[2.0_f64, 0.0, -1.0], [0.0, 1000.0, 0.0]], &Device::Cpu).unwrap();
        let found: f64 = cross_entropy(&logits, &[2, 1])
            .unwrap()
            .to_scalar()
            .unwrap();
        let one = (2_f64.exp() + 1.0 + (-1_f64).exp()).ln() + 1.0;
        assert!((found - 0.5 * one).abs() < 1e-14, "{found}");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let settings = FusionSettings {
            dropout: 1.0,
            ..quick()
        };
        assert!(matches!(
            settings.check(),
            Err(PidError::Config {
                knob: "dropout",
                ..
            })
        ));
    }
}
