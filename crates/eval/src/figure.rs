//! Data for plots. Drawing is another crate's work.

use serde::{Deserialize, Serialize};

/// One figure of a report: a caption and one or more panels side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Short name, unique in the paper, safe as a file name: `growth`.
    pub id: String,
    /// One line above the figure.
    pub title: String,
    /// What is seen, in whole sentences.
    pub caption: String,
    /// The panels, left to right.
    pub panels: Vec<Panel>,
}

/// How an axis maps values to places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Equal steps for equal differences.
    #[default]
    Linear,
    /// Equal steps for equal ratios; values at or below zero are left out and counted.
    Log,
    /// `x` indexes [`Panel::categories`].
    Category,
}

/// One coordinate system with its series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// One line above the panel; may be empty.
    pub title: String,
    /// Label with unit: `dimension d`.
    pub x_label: String,
    /// Label with unit: `time [s]`.
    pub y_label: String,
    /// Scaling of x.
    #[serde(default)]
    pub x_scaling: Scaling,
    /// Scaling of y.
    #[serde(default)]
    pub y_scaling: Scaling,
    /// Names along x where it is a category axis.
    #[serde(default)]
    pub categories: Vec<String>,
    /// What is drawn, in order.
    pub series: Vec<Series>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// A line through the points, with a band where low and high are given.
    Line,
    /// Points, with whiskers where low and high are given.
    Points,
    /// Bars from zero, with whiskers where low and high are given.
    Bars,
    /// A dashed reference line through the points.
    Reference,
    /// A map: a rectangle around each point of a grid, tinted by [`Series::values`]; without
    /// values every rectangle of the series is tinted alike, so that series stand for regions.
    Tiles,
}

/// One series: points `[x, y]` and, where known, their intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// The points.
    pub points: Vec<[f64; 2]>,
    /// Interval `[low, high]` of each point; empty, or as long as `points`.
    #[serde(default)]
    pub intervals: Vec<[f64; 2]>,
    /// The number at each point of [`Mark::Tiles`]; empty, or as long as `points`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
}

impl Series {
    /// A series without intervals or values.
    #[must_use]
    pub fn new(name: impl Into<String>, mark: Mark, points: Vec<[f64; 2]>) -> Self {
        Self {
            name: name.into(),
            mark,
            points,
            intervals: Vec::new(),
            values: Vec::new(),
        }
    }

    /// With the interval `[low, high]` of each point.
    #[must_use]
    pub fn with_intervals(mut self, intervals: Vec<[f64; 2]>) -> Self {
        self.intervals = intervals;
        self
    }

    /// With the number at each point of a map.
    #[must_use]
    pub fn with_values(mut self, values: Vec<f64>) -> Self {
        self.values = values;
        self
    }
}
