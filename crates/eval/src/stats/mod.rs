//! Statistics: small pure functions from numbers to intervals and p-values.
//!
//! Nothing here reads files, knows of claims, or owns randomness: where chance is needed the
//! caller passes a random stream. No function panics and none returns a value that is not finite;
//! what has no answer (no items, one item, no spread, overflow) is an [`Undefined`] with its
//! reason.
//!
//! | question | function |
//! |---|---|
//! | how large is a mean | [`mean_interval`], [`clustered_mean`], [`bootstrap_units`] |
//! | how large is a difference, same items | [`paired_difference`], [`clustered_paired_difference`], [`mcnemar_exact`], [`sign_flip_test`] |
//! | how large is a difference, other items | [`welch_difference`], [`clustered_difference`], [`two_sample_test`] |
//! | how large is a share | [`wilson`], [`clopper_pearson`], [`binomial_test`] |
//! | do two quantities move together | [`pearson`], [`spearman`], [`spearman_bootstrap`] |
//! | how does a quantity grow | [`log_log_line`] |
//! | is it chance | [`permutation_null`], [`holm`] |
//! | how many more would decide | [`n_for_mean`], [`n_for_proportion`], [`n_to_exclude`] |

mod binomial;
mod bootstrap;
mod cluster;
mod correlation;
mod distribution;
mod holm;
mod interval;
mod line;
mod order;
mod permutation;
mod power;
mod student;
mod sum;
mod undefined;

pub use binomial::{binomial_test, clopper_pearson, mcnemar_exact, score_test, wilson};
pub use bootstrap::{Bootstrap, bootstrap_clusters, bootstrap_strata, bootstrap_units};
pub use cluster::{Correction, clustered_difference, clustered_mean, clustered_paired_difference};
pub use correlation::{
    Correlation, RankError, pearson, spearman, spearman_bootstrap, spearman_coefficient,
};
pub use holm::holm;
pub use interval::Interval;
pub use line::{Line, log_log_line};
pub use order::{median, quantile, ranks};
pub use permutation::{
    PermutationNull, PermutationTest, permutation_null, sign_flip_test, two_sample_test,
};
pub use power::{mean_power, n_for_mean, n_for_proportion, n_to_exclude};
pub use student::{TInterval, mean_interval, paired_difference, welch_difference};
pub use sum::{mean, sample_sd, sum};
pub use undefined::Undefined;
