//! Loops that treat every element alone: activations of gated layers, sums of residuals.

use super::cpu::{Cpu, Work};
use super::exponential::exp;
use super::lanes::{LANES, Lanes};

impl Cpu {
    /// `x ← silu(x) ⊙ up`, with `silu(x) = x / (1 + e⁻ˣ)` within 3 units in the last place.
    ///
    /// # Panics
    /// The slices differ in length.
    pub fn silu_gate(&self, x: &mut [f32], up: &[f32]) {
        self.run(Each {
            x,
            y: up,
            op: SiluGate,
        });
    }

    /// `x ← gelu(x) ⊙ up` with the tanh form of GELU, `x/2·(1 + tanh(√(2/π)(x + 0.044715 x³)))`,
    /// computed as `x / (1 + e⁻²ᵘ)`.
    ///
    /// # Panics
    /// The slices differ in length.
    pub fn gelu_tanh_gate(&self, x: &mut [f32], up: &[f32]) {
        self.run(Each {
            x,
            y: up,
            op: GeluGate,
        });
    }

    /// `x ← silu(x)`.
    pub fn silu(&self, x: &mut [f32]) {
        self.run(Each {
            x,
            y: &[],
            op: Silu,
        });
    }

    /// `x ← gelu(x)`, the tanh form.
    pub fn gelu_tanh(&self, x: &mut [f32]) {
        self.run(Each {
            x,
            y: &[],
            op: Gelu,
        });
    }

    /// `x ← x + y`: a block's output joins the residual stream. A shorter `y` (a bias) is added to
    /// every row of its length.
    ///
    /// # Panics
    /// `x` is not a whole number of such rows.
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        for row in rows_of(x, y.len()) {
            self.run(Each { x: row, y, op: Add });
        }
    }

    /// `x ← factor · x`.
    pub fn scale(&self, x: &mut [f32], factor: f32) {
        self.run(Each {
            x,
            y: &[],
            op: Scale(factor),
        });
    }

    /// `x ← x + factor · y`: an expert's output joins the sum with its router weight.
    ///
    /// # Panics
    /// The slices differ in length.
    pub fn add_scaled(&self, x: &mut [f32], y: &[f32], factor: f32) {
        self.run(Each {
            x,
            y,
            op: AddScaled(factor),
        });
    }
}

fn rows_of(x: &mut [f32], width: usize) -> std::slice::ChunksExactMut<'_, f32> {
    assert!(
        width > 0 && x.len().is_multiple_of(width) || x.is_empty(),
        "{} values are no whole number of rows of {width}",
        x.len()
    );
    x.chunks_exact_mut(width.max(1))
}

/// What happens to one element `x`, given the one of `y` at the same place.
trait Op {
    /// Whether `y` is read.
    const BINARY: bool = true;
    unsafe fn apply<L: Lanes>(&self, x: L::F, y: L::F) -> L::F;
}

/// `x / (1 + e⁻ˣ)`.
#[inline(always)]
unsafe fn sigmoid_weighted<L: Lanes>(x: L::F, exponent: L::F) -> L::F {
    // SAFETY: the caller vouches for the instructions.
    unsafe { L::div(x, L::add(L::splat(1.0), exp::<L>(exponent))) }
}

#[inline(always)]
unsafe fn silu<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller vouches for the instructions.
    unsafe { sigmoid_weighted::<L>(x, L::sub(L::splat(0.0), x)) }
}

#[inline(always)]
unsafe fn gelu<L: Lanes>(x: L::F) -> L::F {
    /// `−2·√(2/π)`.
    const LINEAR: f32 = -1.595_769;
    /// The same times 0.044715.
    const CUBIC: f32 = -0.071_354_816;
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let inner = L::fma(L::mul(x, x), L::splat(CUBIC), L::splat(LINEAR));
        sigmoid_weighted::<L>(x, L::mul(x, inner))
    }
}

struct SiluGate;
struct GeluGate;
struct Silu;
struct Gelu;
struct Add;
struct Scale(f32);
struct AddScaled(f32);

impl Op for SiluGate {
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L::F, y: L::F) -> L::F {
        // SAFETY: the caller vouches for the instructions.
        unsafe { L::mul(silu::<L>(x), y) }
    }
}

impl Op for GeluGate {
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L::F, y: L::F) -> L::F {
        // SAFETY: the caller vouches for the instructions.
        unsafe { L::mul(gelu::<L>(x), y) }
    }
}

impl Op for Silu {
    const BINARY: bool = false;
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L::F, _: L::F) -> L::F {
        // SAFETY: the caller vouches for the instructions.
        unsafe { silu::<L>(x) }
    }
}

impl Op for Gelu {
    const BINARY: bool = false;
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L::F, _: L::F) -> L::F {
        // SAFETY: the caller vouches for the instructions.
        unsafe { gelu::<L>(x) }
    }
}

impl Op for Add {
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L::F, y: L::F) -> L::F {
        // SAFETY: the caller vouches for the instructions.
        unsafe { L::add(x, y) }
    }
}

impl Op for Scale {
    const BINARY: bool = false;
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L::F, _: L::F) -> L::F {
        // SAFETY: the caller vouches for the instructions.
        unsafe { L::mul(x, L::splat(self.0)) }
    }
}

impl Op for AddScaled {
    #[inline(always)]
    unsafe fn apply<L: Lanes>(&self, x: L::F, y: L::F) -> L::F {
        // SAFETY: the caller vouches for the instructions.
        unsafe { L::fma(y, L::splat(self.0), x) }
    }
}

struct Each<'a, O> {
    x: &'a mut [f32],
    y: &'a [f32],
    op: O,
}

impl<O: Op> Work for Each<'_, O> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let n = self.x.len();
        if O::BINARY {
            assert_eq!(n, self.y.len(), "elements of both operands");
        }
        let y = if O::BINARY {
            self.y.as_ptr()
        } else {
            self.x.as_ptr()
        };
        let x = self.x.as_mut_ptr();
        let mut at = 0;
        while at < n {
            let left = n - at;
            // SAFETY: `at + left` is the length of both; `Cpu` has checked the instructions.
            unsafe {
                let (a, b) = (
                    load_some::<L>(x.add(at), left),
                    load_some::<L>(y.add(at), left),
                );
                store_some::<L>(x.add(at), left, self.op.apply::<L>(a, b));
            }
            at += LANES;
        }
    }
}

/// The first `n_left` of sixteen values (all if more are left), zero in the other lanes.
#[inline(always)]
pub(super) unsafe fn load_some<L: Lanes>(from: *const f32, n_left: usize) -> L::F {
    // SAFETY: the caller vouches for `n_left` values and for the instructions.
    unsafe {
        if n_left >= LANES {
            return L::load(from);
        }
        let mut lanes = [0.0_f32; LANES];
        std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), n_left);
        L::load(lanes.as_ptr())
    }
}

/// Writes the first `n_left` of sixteen lanes (all if there is room for more).
#[inline(always)]
pub(super) unsafe fn store_some<L: Lanes>(to: *mut f32, n_left: usize, x: L::F) {
    // SAFETY: the caller vouches for `n_left` places and for the instructions.
    unsafe {
        if n_left >= LANES {
            return L::store(to, x);
        }
        let mut lanes = [0.0_f32; LANES];
        L::store(lanes.as_mut_ptr(), x);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, n_left);
    }
}
