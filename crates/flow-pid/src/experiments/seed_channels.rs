//! The paper's own channels: numpy's legacy generator with seed 0 fills `H1` row by row, then `H2`;
//! noises are independent.
//!
//! The recipe was recovered from the official code's recorded outputs and from five printed rows.

use eval::{Error, Result};

use crate::channel::Channel;
use crate::legacy_gaussian::LegacyGaussian;

/// The channel of the dimensions `d1xd2xdy`.
pub fn seed_channel(dims: &str) -> Result<Channel> {
    let sizes: Vec<usize> = dims
        .split('x')
        .filter_map(|size| size.parse().ok())
        .collect();
    let [d1, d2, dy] = sizes[..] else {
        return Err(Error::internal(format!("`{dims}` are no dimensions")));
    };
    let mut stream = LegacyGaussian::seeded(0);
    let h1 = stream.matrix(d1, dy);
    let h2 = stream.matrix(d2, dy);
    Ok(Channel::with_independent_noise(h1, h2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Dims;

    #[test]
    fn the_first_channel_is_filled_before_the_second() {
        let channel = seed_channel("2x1x2").unwrap();
        assert_eq!(channel.dims(), Dims { y: 2, x1: 2, x2: 1 });
        // numpy.random.RandomState(0).standard_normal(6), numpy 2.4.6: entries 0, 3, and 4.
        assert!((channel.h1()[(0, 0)] - 1.764_052_345_967_664).abs() < 1e-15);
        assert!((channel.h1()[(1, 1)] - 2.240_893_199_201_458).abs() < 1e-15);
        assert!((channel.h2()[(0, 0)] - 1.867_557_990_149_967_5).abs() < 1e-15);
        assert!(seed_channel("2x2").is_err());
    }
}
