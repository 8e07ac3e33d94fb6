//! Interventions and observers, in the trainable decoder and in the fast engine.

use model::infer::{EngineOptions, Outputs, Precision as Packing, Step, Tap};
use model::train::{
    Action, Batch, Decoder, Gradients, Hook, Hooks, Intervention, Precision, Site, mean_loss,
};

use crate::support::{batch, decoder, distance, experts, family, gemma};

fn change(site: Site, action: Action) -> Intervention {
    Intervention {
        site,
        positions: None,
        action,
    }
}

/// Logits of one row with hooks, by the trainable decoder.
fn trained(decoder: &Decoder, batch: &Batch, hooks: &mut dyn Hook) -> Vec<f32> {
    let states = decoder.states(batch, hooks).unwrap().states;
    let logits = decoder.head(&states).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

/// The same by the fast engine in single precision.
fn fast(decoder: &Decoder, batch: &Batch, tap: &mut dyn Tap) -> Vec<f32> {
    let options = EngineOptions {
        precision: Packing::Exact,
        n_threads: 1,
    };
    let engine = decoder.engine(options).unwrap();
    let mut sequence = engine.sequence();
    let mut steps = [Step {
        sequence: &mut sequence,
        tokens: batch.row(0),
        outputs: Outputs::All,
    }];
    let states = engine.forward(&mut steps, Some(tap)).unwrap();
    let mut logits = Vec::new();
    engine.logits(&states, &mut |_, row| logits.extend_from_slice(row));
    logits
}

#[test]
fn the_fast_engine_computes_the_same_logits_from_trained_weights() {
    for (name, config) in family() {
        let decoder = decoder(&config, Precision::F32);
        let row = batch(&config, &[11]);
        let error = distance(
            &trained(&decoder, &row, &mut ()),
            &fast(&decoder, &row, &mut Hooks::new()),
        );
        assert!(error < 5e-5, "{name}: {error}");
    }
}

#[test]
fn every_intervention_does_the_same_in_training_and_in_the_engine() {
    let config = experts(true);
    let decoder = decoder(&config, Precision::F32);
    let row = batch(&config, &[9]);
    let plain = trained(&decoder, &row, &mut ());
    let vector: Vec<f32> = (0..12).map(|i| (i as f32 - 5.0) / 3.0).collect();
    let late = Intervention {
        site: Site::Hidden(1),
        positions: Some(4..6),
        action: Action::Add(vector.clone()),
    };
    for (name, changes) in [
        (
            "add",
            vec![change(Site::Hidden(0), Action::Add(vector.clone()))],
        ),
        (
            "replace",
            vec![change(Site::Hidden(2), Action::Replace(vector.clone()))],
        ),
        ("scale", vec![change(Site::Hidden(1), Action::Scale(-0.5))]),
        ("late", vec![late.clone()]),
        (
            "router add",
            vec![change(
                Site::Router(0),
                Action::Add(vec![3.0, 0.0, -1.0, 0.5, 2.0]),
            )],
        ),
        (
            "mask",
            vec![change(Site::Router(1), Action::MaskExperts(vec![0, 3]))],
        ),
        (
            "force",
            vec![change(Site::Router(0), Action::ForceExperts(vec![4, 1]))],
        ),
        (
            "both",
            vec![late, change(Site::Router(1), Action::MaskExperts(vec![2]))],
        ),
    ] {
        let hooks = || changes.iter().cloned().fold(Hooks::new(), Hooks::intervene);
        let with = trained(&decoder, &row, &mut hooks());
        let mut tap = hooks();
        let error = distance(&with, &fast(&decoder, &row, &mut tap));
        assert!(tap.failure().is_none(), "{name}");
        assert!(error < 5e-5, "{name}: {error}");
        assert!(distance(&with, &plain) > 1e-3, "{name} must matter");
    }
}

#[test]
fn an_intervention_at_a_position_leaves_what_is_before_it_alone() {
    let config = gemma();
    let decoder = decoder(&config, Precision::F32);
    let row = batch(&config, &[9]);
    let mut hooks = Hooks::new().intervene(Intervention {
        site: Site::Hidden(1),
        positions: Some(5..6),
        action: Action::Add(vec![1.0; 12]),
    });
    let plain = trained(&decoder, &row, &mut ());
    let with = trained(&decoder, &row, &mut hooks);
    let n_vocab = config.n_vocab;
    assert_eq!(plain[..5 * n_vocab], with[..5 * n_vocab]);
    assert!(distance(&plain[5 * n_vocab..], &with[5 * n_vocab..]) > 1e-3);
}

#[test]
fn masked_experts_are_never_chosen_and_forced_ones_always() {
    let config = experts(false);
    let decoder = decoder(&config, Precision::F32);
    let batch = batch(&config, &[9, 7]);
    for (action, allowed) in [
        (Action::MaskExperts(vec![0, 3]), vec![1, 2, 4]),
        (Action::ForceExperts(vec![4, 1]), vec![1, 4]),
    ] {
        let mut hooks = Hooks::new().intervene(change(Site::Router(1), action));
        let routing = decoder.states(&batch, &mut hooks).unwrap().routing;
        assert!(
            routing[1]
                .chosen
                .iter()
                .all(|expert| allowed.contains(expert))
        );
        assert!(
            routing[0]
                .chosen
                .iter()
                .any(|expert| !allowed.contains(expert))
        );
        let probabilities: Vec<Vec<f32>> = routing[1].probabilities.to_vec2().unwrap();
        for row in probabilities {
            for (expert, probability) in row.iter().enumerate() {
                assert_eq!(*probability == 0.0, !allowed.contains(&(expert as u32)));
            }
        }
    }
}

#[test]
fn observers_see_what_those_before_them_made_and_gradients_flow_through_changes() {
    let config = experts(true);
    let decoder = decoder(&config, Precision::F32);
    let batch = batch(&config, &[6, 4]);
    let mut hooks = Hooks::new()
        .observe(&[Site::Hidden(1)])
        .intervene(change(Site::Hidden(1), Action::Scale(2.0)))
        .observe(&[Site::Hidden(1), Site::Router(1)]);
    let logprobs = decoder.logprobs(&batch, &mut hooks).unwrap();
    let seen: Vec<_> = hooks.observers().map(|observer| observer.seen()).collect();
    let (before, after) = (&seen[0][0], &seen[1][0]);
    assert_eq!(before.1.len(), 12, "padding is among the rows");
    assert_eq!((before.1[7].step, before.1[7].position), (1, 1));
    assert_eq!(before.1[7].token, batch.row(1)[1]);
    let doubled: Vec<f32> = before.2.iter().map(|value| 2.0 * value).collect();
    assert_eq!(doubled, after.2);
    assert_eq!(seen[1][1].0, Site::Router(1));
    assert_eq!(seen[1][1].2.len(), 12 * 5);
    let loss = mean_loss(&logprobs, &batch, &batch.all_targets()).unwrap();
    Gradients::of(&loss, decoder.parameters()).unwrap();
    let mut cut = Hooks::new().intervene(change(Site::Hidden(1), Action::Replace(vec![0.5; 12])));
    let logprobs = decoder.logprobs(&batch, &mut cut).unwrap();
    let loss = mean_loss(&logprobs, &batch, &batch.all_targets()).unwrap();
    let gradients = Gradients::of(&loss, decoder.parameters()).unwrap();
    let below = gradients
        .get("model.layers.0.self_attn.q_proj.weight")
        .unwrap();
    let size = below
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    assert_eq!(size, 0.0, "a replaced state hides everything below it");
}

#[test]
fn interventions_that_do_not_fit_are_named() {
    let config = experts(true);
    let decoder = decoder(&config, Precision::F32);
    let row = batch(&config, &[4]);
    for (site, action, expected) in [
        (
            Site::Hidden(0),
            Action::Add(vec![1.0; 3]),
            "3 values for rows of 12",
        ),
        (
            Site::Router(0),
            Action::MaskExperts(vec![7]),
            "expert 7 of 5",
        ),
        (
            Site::Hidden(0),
            Action::MaskExperts(vec![0]),
            "no experts at",
        ),
    ] {
        let mut hooks = Hooks::new().intervene(change(site, action));
        let error = decoder.states(&row, &mut hooks).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        fast(&decoder, &row, &mut hooks);
        let error = hooks.failure().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
