//! Axes: from values to places, and where the ticks are.
//!
//! Values are mapped (`log10` on a log axis) before they reach the plotting crate, so that one
//! linear coordinate system serves every scaling and the ticks are ours. Pure functions only.

use eval::Scaling;

use crate::number;

/// Values beyond this are not drawn: sums and differences of them leave the range of a double.
const DRAWABLE_ABS_MAX: f64 = 1e150;

/// One axis of a panel in mapped coordinates.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Start of the axis.
    pub low: f64,
    /// End of the axis.
    pub high: f64,
    /// Places with a label.
    pub ticks: Vec<(f64, String)>,
    /// Places with a line and no label.
    pub minor: Vec<f64>,
}

/// The place of a value, or `None` where it has none: not positive on a log axis, no category of
/// that index, or too large.
#[must_use]
pub fn place(scaling: Scaling, n_categories: usize, value: f64) -> Option<f64> {
    if !value.is_finite() || value.abs() > DRAWABLE_ABS_MAX {
        return None;
    }
    match scaling {
        Scaling::Linear => Some(value),
        Scaling::Log => (value > 0.0).then(|| value.log10()),
        Scaling::Category => {
            (value >= 0.0 && value.fract() == 0.0 && value < n_categories as f64).then_some(value)
        }
    }
}

/// An axis that holds all `places`.
#[must_use]
pub fn axis(scaling: Scaling, places: &[f64], categories: &[String], n_ticks: usize) -> Axis {
    if scaling == Scaling::Category {
        let ticks = categories
            .iter()
            .enumerate()
            .map(|(idx, name)| (idx as f64, name.clone()));
        let high = categories.len() as f64 - 0.5;
        return Axis {
            low: -0.5,
            high,
            ticks: ticks.collect(),
            minor: Vec::new(),
        };
    }
    let low = places.iter().copied().fold(f64::INFINITY, f64::min);
    let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = padded(scaling, low, high);
    let (ticks, minor) = match scaling {
        Scaling::Log => log_ticks(low, high, n_ticks),
        Scaling::Linear | Scaling::Category => (linear_ticks(low, high, n_ticks), Vec::new()),
    };
    Axis {
        low,
        high,
        ticks,
        minor,
    }
}

fn padded(scaling: Scaling, low: f64, high: f64) -> (f64, f64) {
    const PAD: f64 = 0.06;
    // Below this share of their size two values differ by rounding only.
    const SAME: f64 = 1e-12;
    let width = high - low;
    if width <= SAME * low.abs().max(high.abs()) {
        let pad = match scaling {
            Scaling::Log => 0.5,
            Scaling::Linear | Scaling::Category if low == 0.0 => 1.0,
            Scaling::Linear | Scaling::Category => low.abs() * 0.2,
        };
        return (low - pad, high + pad);
    }
    let pad = PAD * width;
    // Quantities that are never negative keep zero as their floor.
    let floor = if scaling == Scaling::Linear && low >= 0.0 {
        0.0
    } else {
        f64::NEG_INFINITY
    };
    ((low - pad).max(floor), high + pad)
}

/// Ticks at multiples of 1, 2, or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, n_ticks: usize) -> Vec<(f64, String)> {
    let step = nice_step((high - low) / n_ticks.max(1) as f64);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    let n_decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let largest = low.abs().max(high.abs());
    (first..=last.min(first.saturating_add(50)))
        .map(|multiple| {
            let value = multiple as f64 * step;
            let text = if multiple == 0 {
                "0".to_owned()
            } else if largest < 1e6 && step >= 1e-4 {
                format!("{value:.n_decimals$}")
            } else {
                number::plain(value)
            };
            (value, text)
        })
        .collect()
}

fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let factor = rough / power;
    // The borders are geometric means, so that the count of ticks stays near the one asked for.
    let nice = if factor <= 2.0_f64.sqrt() {
        1.0
    } else if factor <= 10.0_f64.sqrt() {
        2.0
    } else if factor <= 50.0_f64.sqrt() {
        5.0
    } else {
        10.0
    };
    nice * power
}

/// Ticks at powers of ten; within few decades also at 2 and 5 times a power.
fn log_ticks(low: f64, high: f64, n_ticks: usize) -> (Vec<(f64, String)>, Vec<f64>) {
    let first = low.ceil() as i32;
    let last = high.floor() as i32;
    let n_decades = last - first + 1;
    let minor = |factors: &[f64]| -> Vec<f64> {
        ((first - 1)..=last)
            .flat_map(|decade| {
                factors
                    .iter()
                    .map(move |factor| f64::from(decade) + factor.log10())
            })
            .filter(|place| (low..=high).contains(place))
            .collect()
    };
    if n_decades >= 3 {
        let stride = (n_decades as usize).div_ceil(n_ticks + 2).max(1);
        let ticks = (first..=last)
            .step_by(stride)
            .map(|decade| (f64::from(decade), power_of_ten(decade)))
            .collect();
        let between = if n_decades <= 4 {
            minor(&[2.0, 5.0])
        } else {
            minor(&[1.0])
        };
        return (ticks, between);
    }
    let mut ticks: Vec<(f64, String)> = minor(&[1.0, 2.0, 5.0])
        .into_iter()
        .map(|place| (place, number::plain(10_f64.powf(place))))
        .collect();
    if ticks.len() < 2 {
        let values = linear_ticks(10_f64.powf(low), 10_f64.powf(high), n_ticks);
        let positive = values.into_iter().filter(|(value, _)| *value > 0.0);
        ticks = positive
            .map(|(value, text)| (value.log10(), text))
            .collect();
    }
    (ticks, Vec::new())
}

/// `0.01` to `1000` in digits, everything else as a power.
fn power_of_ten(exponent: i32) -> String {
    if (-2..=3).contains(&exponent) {
        return number::plain(10_f64.powi(exponent));
    }
    let superscript = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(0x2070 + u32::from(digit) - u32::from('0')).unwrap_or(digit),
    };
    format!(
        "10{}",
        exponent
            .to_string()
            .chars()
            .map(superscript)
            .collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_start_at_zero_for_amounts() {
        let axis = axis(Scaling::Linear, &[0.02, 0.97], &[], 5);
        assert_eq!(
            axis.low, 0.0,
            "amounts keep zero as their floor when it is near"
        );
        assert_eq!(labels(&axis), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn log_ticks_are_powers_of_ten() {
        let axis = axis(Scaling::Log, &[-13.0, -8.0], &[], 6);
        assert_eq!(
            labels(&axis),
            ["10⁻¹³", "10⁻¹²", "10⁻¹¹", "10⁻¹⁰", "10⁻⁹", "10⁻⁸"]
        );
    }

    #[test]
    fn short_log_axes_have_ticks_between_the_powers() {
        let axis = axis(Scaling::Log, &[4_f64.log10(), 64_f64.log10()], &[], 6);
        assert_eq!(labels(&axis), ["5", "10", "20", "50"]);
    }

    #[test]
    fn one_value_and_hostile_values_still_give_an_axis() {
        for value in [0.0, 1.0, -3.0, 1e-300, 1e150, -1e150] {
            let axis = axis(Scaling::Linear, &[value], &[], 5);
            assert!(axis.low < value && value < axis.high, "{value:e}: {axis:?}");
            assert!(axis.ticks.len() < 60);
        }
        for value in [f64::MAX, 1e200] {
            assert_eq!(place(Scaling::Linear, 0, value), None);
        }
        assert_eq!(place(Scaling::Log, 0, 0.0), None);
        assert_eq!(place(Scaling::Category, 2, 2.0), None);
        assert_eq!(place(Scaling::Category, 2, 0.5), None);
        assert_eq!(place(Scaling::Category, 2, 1.0), Some(1.0));
    }
}
