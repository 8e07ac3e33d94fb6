//! Colours and signs of series.
//!
//! The colours are those of Okabe and Ito (2008), "Color universal design", without its yellow,
//! which is too faint on white. Each has a lighter twin for dark pages, which the page's style
//! sheet puts in place by the colour's name.

use eval::Mark;
use plotters::style::RGBColor;

/// A colour on light and on dark pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// As drawn; shown on light pages and in print.
    pub light: &'static str,
    /// Shown on dark pages.
    pub dark: &'static str,
}

/// The colours of series, in order.
pub const SERIES: [Colour; 7] = [
    Colour {
        light: "#0072B2",
        dark: "#58A9E0",
    },
    Colour {
        light: "#D55E00",
        dark: "#FF8B45",
    },
    Colour {
        light: "#009E73",
        dark: "#3CC79E",
    },
    Colour {
        light: "#AA4499",
        dark: "#DD8FCB",
    },
    Colour {
        light: "#E69F00",
        dark: "#F2B93B",
    },
    Colour {
        light: "#56B4E9",
        dark: "#9AD4F7",
    },
    Colour {
        light: "#6B5B4D",
        dark: "#BDAA98",
    },
];
/// Text and whiskers.
pub const INK: Colour = Colour {
    light: "#24292F",
    dark: "#D8DEE6",
};
/// Axes, units, and reference lines.
pub const MUTED: Colour = Colour {
    light: "#59636E",
    dark: "#9DA7B3",
};
/// Grid lines.
pub const GRID: Colour = Colour {
    light: "#E3E6EA",
    dark: "#2C333C",
};
/// What a plot stands on; the ring around signs.
pub const SURFACE: Colour = Colour {
    light: "#FFFFFE",
    dark: "#161B22",
};

/// Every colour that may occur in a drawing.
#[must_use]
pub fn all() -> Vec<Colour> {
    SERIES
        .into_iter()
        .chain([INK, MUTED, GRID, SURFACE])
        .collect()
}

impl Colour {
    /// The colour as the plotting crate wants it.
    #[must_use]
    pub fn rgb(self) -> RGBColor {
        let part = |start: usize| {
            self.light
                .get(start..start + 2)
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        };
        RGBColor(
            part(1).unwrap_or(0),
            part(3).unwrap_or(0),
            part(5).unwrap_or(0),
        )
    }
}

/// The sign of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// ●
    Disc,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆
    Diamond,
    /// ▼
    TriangleDown,
    /// ✕
    Cross,
    /// +
    Plus,
    /// ○
    Ring,
}

/// Every sign, in the order of series.
pub const SIGNS: [Sign; 8] = [
    Sign::Disc,
    Sign::Square,
    Sign::Triangle,
    Sign::Diamond,
    Sign::TriangleDown,
    Sign::Cross,
    Sign::Plus,
    Sign::Ring,
];

/// How one series looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its colour.
    pub colour: Colour,
    /// Its sign.
    pub sign: Sign,
    /// Dash and gap of a reference line.
    pub dash: (u32, u32),
    /// Its place among the series of its kind, which decides the hatching of bars.
    pub series_idx: usize,
}

impl Look {
    /// The look of the series with that number among data or among references.
    #[must_use]
    pub fn new(mark: Mark, series_idx: usize) -> Self {
        const DASHES: [(u32, u32); 4] = [(6, 4), (2, 3), (12, 4), (2, 7)];
        let colour = match mark {
            Mark::Reference => MUTED,
            Mark::Line | Mark::Points | Mark::Bars | Mark::Tiles => {
                SERIES[series_idx % SERIES.len()]
            }
        };
        // 7 colours and 8 signs: pairs of both repeat only after 56 series.
        let sign = SIGNS[series_idx % SIGNS.len()];
        Self {
            colour,
            sign,
            dash: DASHES[series_idx % DASHES.len()],
            series_idx,
        }
    }
}
