//! Where tensors live: `cpu`, `cuda[:N]`, or `metal`.
//!
//! The processor is the default, the tested place, and the only one of the engine. The features
//! `cuda` and `metal` of this crate switch on those of candle, for tensors of programs that use
//! candle themselves; neither has been built or run for this project.

use std::fmt;
use std::str::FromStr;

use eval::{Error, Result};

/// A place for tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The processor.
    Cpu,
    /// A graphics card of Nvidia, by number.
    Cuda(usize),
    /// The graphics processor of a Mac.
    Metal,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "`cpu`, `cuda`, `cuda:N`, or `metal` is needed".to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl Place {
    /// The engine runs on the processor. Another place is refused, with what would be needed.
    ///
    /// # Errors
    /// The place is another one.
    pub fn require_cpu(self) -> Result<()> {
        let is_built = match self {
            Self::Cpu => return Ok(()),
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
        };
        let error = Error::usage(match is_built {
            true => format!("the engine runs on the processor and has no kernels for `{self}`"),
            false => format!("this program was built without support for `{self}`"),
        });
        Err(error.hint(match is_built {
            true => "leave out `--device`; candle's tensors alone can live there",
            false => {
                "`--device cpu` works everywhere; `cargo build --release --package model \
                 --features cuda` (or `metal`) builds the support that candle has"
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["cpu", "cuda:0", "cuda:3", "metal"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<Place>(), Ok(Place::Cuda(0)));
        for bad in ["", "gpu", "cuda:", "cuda:-1", "CPU", "metal:0"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_place_but_the_processor_is_refused_with_a_next_step() {
        assert!(Place::Cpu.require_cpu().is_ok());
        for place in [Place::Cuda(0), Place::Metal] {
            let error = place.require_cpu().unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(
                error
                    .next_step()
                    .is_some_and(|hint| hint.contains("--device"))
            );
        }
    }
}
