//! Adam, as PyTorch presets it: decay is added to the gradient.

/// The numbers of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamStep {
    /// Learning rate.
    pub rate: f64,
    /// Weight decay.
    pub decay: f64,
    /// Steps from 1.
    pub count: u64,
}

/// One step over slices of one length (Kingma and Ba 2015, Algorithm 1).
pub(crate) fn adam(
    step: AdamStep,
    params: &mut [f64],
    grads: &[f64],
    [first, second]: [&mut [f64]; 2],
) {
    const BETA1: f64 = 0.9;
    const BETA2: f64 = 0.999;
    const EPS: f64 = 1e-8;
    let t = step.count as f64;
    let rate = step.rate / (1.0 - BETA1.powf(t));
    let correct = (1.0 - BETA2.powf(t)).sqrt();
    for k in 0..params.len() {
        let grad = grads[k] + step.decay * params[k];
        first[k] = BETA1 * first[k] + (1.0 - BETA1) * grad;
        second[k] = BETA2 * second[k] + (1.0 - BETA2) * grad * grad;
        params[k] -= rate * first[k] / (second[k].sqrt() / correct + EPS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_steps_are_those_of_pytorch() {
        // torch 2.15.0, float64: p = tensor([1., -2.]); Adam([p], lr=0.1, weight_decay=0.01);
        // gradients [0.5, -1], [0.25, 2], [-1, 0].
        let expected = REFERENCE;
        let mut params = [1.0, -2.0];
        let (mut first, mut second) = ([0.0; 2], [0.0; 2]);
        let grads = [[0.5, -1.0], [0.25, 2.0], [-1.0, 0.0]];
        for (k, grads) in grads.iter().enumerate() {
            let step = AdamStep {
                rate: 0.1,
                decay: 0.01,
                count: k as u64 + 1,
            };
            adam(step, &mut params, grads, [&mut first, &mut second]);
        }
        for (value, expected) in params.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-14, "{value}");
        }
    }

    const REFERENCE: [f64; 2] = [0.8258477699317025, -1.9623931792378824];
}
