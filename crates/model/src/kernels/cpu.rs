//! The processor as the loops see it: an instruction set, chosen once, and a number of threads.

use std::num::NonZeroUsize;
use std::sync::Arc;

use eval::{Error, Result};

use super::lanes::{Lanes, Scalar};

/// How many threads a computation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threads(NonZeroUsize);

impl Threads {
    /// The calling thread alone.
    pub const ONE: Self = Self(NonZeroUsize::MIN);

    /// `n` threads.
    ///
    /// # Errors
    /// `n` is 0 or above 1024.
    pub fn new(n: usize) -> Result<Self> {
        match NonZeroUsize::new(n) {
            Some(count) if n <= 1024 => Ok(Self(count)),
            _ => Err(Error::usage(format!("cannot compute with {n} threads"))
                .hint("give a number from 1 to 1024")),
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        self.0.get()
    }
}

/// A family of vector instructions that the loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler makes of plain code; runs everywhere.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL) and its 8-bit dot product (VNNI).
    Avx512,
}

impl Isa {
    /// Every family, from the plainest.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// Whether this machine has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The widest family that this machine has.
    #[must_use]
    pub fn detect() -> Self {
        if Self::Avx512.is_available() {
            Self::Avx512
        } else if Self::Avx2.is_available() {
            Self::Avx2
        } else {
            Self::Scalar
        }
    }
}

/// Where loops run: the instruction set and the threads. Cheap to clone; clones share threads.
#[derive(Clone, Debug)]
pub struct Cpu {
    isa: Isa,
    threads: Threads,
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl Cpu {
    /// The widest instruction set of this machine, on at most `threads` threads.
    ///
    /// # Errors
    /// The system refuses to start threads.
    pub fn new(threads: Threads) -> Result<Self> {
        Self::with_isa(Isa::detect(), threads)
    }

    /// A given instruction set, for tests and comparisons.
    ///
    /// # Errors
    /// This machine lacks it, or the system refuses to start threads.
    pub fn with_isa(isa: Isa, threads: Threads) -> Result<Self> {
        if !isa.is_available() {
            return Err(Error::usage(format!("this machine has no {isa:?}"))
                .hint("use the family that the machine reports"));
        }
        let pool = if threads == Threads::ONE {
            None
        } else {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads.get())
                .thread_name(|idx| format!("kernels-{idx}"))
                .build()
                .map_err(|error| {
                    Error::internal(format!("cannot start {} threads", threads.get()))
                        .caused_by(error)
                })?;
            Some(Arc::new(pool))
        };
        Ok(Self { isa, threads, pool })
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The threads allowed.
    #[must_use]
    pub fn threads(&self) -> Threads {
        self.threads
    }

    /// Runs one piece of work with the chosen instructions, on the calling thread.
    pub(super) fn run<W: Work>(&self, work: W) -> W::Output {
        match self.isa {
            Isa::Scalar => work.run::<Scalar>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `with_isa` has checked that this machine has these instructions.
            Isa::Avx2 => unsafe { run_avx2(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `with_isa` has checked that this machine has these instructions.
            Isa::Avx512 => unsafe { run_avx512(work) },
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => work.run::<Scalar>(),
        }
    }

    /// Calls `each` once per element of `parts`, on as many threads as allowed.
    pub(super) fn spread<T: Send>(&self, parts: &mut [T], each: impl Fn(usize, &mut T) + Sync) {
        match &self.pool {
            Some(pool) if parts.len() > 1 => pool.scope(|scope| {
                let each = &each;
                for (idx, part) in parts.iter_mut().enumerate() {
                    scope.spawn(move |_| each(idx, part));
                }
            }),
            _ => parts
                .iter_mut()
                .enumerate()
                .for_each(|(idx, part)| each(idx, part)),
        }
    }
}

/// A loop, written once over [`Lanes`] and compiled for each instruction set.
///
/// `run` must be `#[inline(always)]`, as everything hot that it calls: only then does the code end
/// up in a function that is compiled with the instructions.
pub(super) trait Work {
    /// What comes out.
    type Output;

    /// The loop.
    fn run<L: Lanes>(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_avx2<W: Work>(work: W) -> W::Output {
    work.run::<super::lanes::Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn run_avx512<W: Work>(work: W) -> W::Output {
    work.run::<super::lanes::Avx512>()
}
