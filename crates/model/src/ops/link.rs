//! Gradients that pass from one operation to the next without candle's sums.
//!
//! candle fills a tensor with zeros for every gradient and adds to it, on threads of its own: two
//! more passes over every activation (a tenth of a training step on two threads, measured). So a
//! result stands in candle's graph twice: as itself, for operations that are not ours, and as its
//! *token*, a scalar that our operations take for their input. Gradients for a result are left with
//! its [`Link`], gradients for variables with [`backward`]; candle hands zeros from token to token,
//! and with them the order of the nodes.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, TensorId};

use super::rows::add_scaled;

#[expect(
    clippy::disallowed_types,
    reason = "identities of tensors have no order, and nothing iterates over them"
)]
type ById<T> = std::collections::HashMap<TensorId, T>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sum(held: Option<Tensor>, gradient: &Tensor) -> Result<Tensor> {
    Ok(match held {
        None => gradient.detach(),
        Some(held) => (held + gradient)?.detach(),
    })
}

/// What our operations know of a result of one another.
#[derive(Debug)]
pub(super) struct Link {
    /// The scalar that stands for the result.
    pub(super) token: Tensor,
    /// Gradients of the result, summed so far; the node behind the token takes them.
    gradient: Arc<Mutex<Option<Tensor>>>,
}

/// Where the node behind a token finds the gradient.
pub(super) type Inbox = Arc<Mutex<Option<Tensor>>>;

/// Takes what was left, if anything was.
pub(super) fn take(inbox: &Inbox) -> Option<Tensor> {
    locked(inbox).take()
}

impl Link {
    pub(super) fn new(token: Tensor, gradient: Inbox) -> Arc<Self> {
        Arc::new(Self { token, gradient })
    }

    /// Adds a gradient of the result.
    pub(super) fn leave(&self, gradient: &Tensor) -> Result<()> {
        let mut held = locked(&self.gradient);
        *held = Some(sum(held.take(), gradient)?);
        Ok(())
    }
}

/// Links of results that are alive.
struct Links {
    links: ById<Weak<Link>>,
    /// Entries at which dead ones are thrown out.
    n_entries_max: usize,
}

static LINKS: LazyLock<Mutex<Links>> = LazyLock::new(|| {
    Mutex::new(Links {
        links: ById::default(),
        n_entries_max: 256,
    })
});

/// Makes `link` known as that of `result`.
pub(super) fn register(result: &Tensor, link: &Arc<Link>) {
    let mut known = locked(&LINKS);
    if known.links.len() >= known.n_entries_max {
        known.links.retain(|_, link| link.strong_count() > 0);
        known.n_entries_max = 256.max(2 * known.links.len());
    }
    known.links.insert(result.id(), Arc::downgrade(link));
}

/// The link of a tensor that one of our operations made.
pub(super) fn find(tensor: &Tensor) -> Option<Arc<Link>> {
    locked(&LINKS).links.get(&tensor.id())?.upgrade()
}

thread_local! {
    static LEAVES: RefCell<Option<ById<Tensor>>> = const { RefCell::new(None) };
}

/// Leaves the gradient of a variable, which nobody else holds, where [`backward`] collects them;
/// false where nobody does.
pub(super) fn leave_at_leaf(variable: &Tensor, gradient: &Tensor) -> Result<bool> {
    LEAVES.with_borrow_mut(|leaves| {
        let Some(leaves) = leaves else {
            return Ok(false);
        };
        match leaves.get(&variable.id()) {
            Some(held) => add_in_place(held, 1.0, gradient)?,
            None => {
                leaves.insert(variable.id(), gradient.detach());
            }
        }
        Ok(true)
    })
}

/// `to += scale · from`, on this thread and without another tensor.
pub(crate) fn add_in_place(to: &Tensor, scale: f64, from: &Tensor) -> Result<()> {
    to.inplace_op2(from, &AddScaled(scale))
}

struct AddScaled(f64);

impl InplaceOp2 for AddScaled {
    fn name(&self) -> &'static str {
        "add-scaled"
    }

    fn cpu_fwd(
        &self,
        a: &mut CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<()> {
        let (Some((from, to)), Some((b_from, b_to))) =
            (a_layout.contiguous_offsets(), b_layout.contiguous_offsets())
        else {
            candle_core::bail!("gradients that are added must be contiguous");
        };
        match (a, b) {
            (CpuStorage::F32(a), CpuStorage::F32(b)) => {
                add_scaled(self.0 as f32, &b[b_from..b_to], &mut a[from..to]);
            }
            (CpuStorage::F64(a), CpuStorage::F64(b)) => {
                add_scaled(self.0, &b[b_from..b_to], &mut a[from..to]);
            }
            _ => candle_core::bail!("gradients that are added must be of one float type"),
        }
        Ok(())
    }
}

/// Gradients of a scalar in the variables it depends on.
#[derive(Debug)]
pub struct LeafGradients {
    leaves: ById<Tensor>,
    rest: GradStore,
}

impl LeafGradients {
    /// Takes the gradient of one variable, which nobody else holds; none if the scalar does not
    /// depend on it.
    ///
    /// # Errors
    /// Two parts of it cannot be added.
    pub fn remove(&mut self, variable: &Tensor) -> Result<Option<Tensor>> {
        let leaf = self.leaves.remove(&variable.id());
        match (leaf, self.rest.remove(variable)) {
            (None, rest) => Ok(rest),
            (leaf, None) => Ok(leaf),
            (leaf, Some(rest)) => sum(leaf, &rest).map(Some),
        }
    }
}

/// Back-propagates `loss` as [`Tensor::backward`] does, without its sums where operations of this
/// module follow one another.
///
/// # Errors
/// An operation cannot compute its gradient.
pub fn backward(loss: &Tensor) -> Result<LeafGradients> {
    struct Restore(Option<ById<Tensor>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LEAVES.set(self.0.take());
        }
    }
    let restore = Restore(LEAVES.replace(Some(ById::default())));
    let rest = loss.backward()?;
    let leaves = LEAVES.take().unwrap_or_default();
    drop(restore);
    Ok(LeafGradients { leaves, rest })
}
