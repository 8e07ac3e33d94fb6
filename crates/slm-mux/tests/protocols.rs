//! Protocols over scripted models: who is asked what, who decides, and what it costs.

use std::sync::{Arc, Mutex};

use eval::Error;
use model::chat::{ChatModel, ChatRequest, Message, Role, Scripted, block_on};
use slm_mux::protocols::{
    Agent, Asking, Aspect, Question, TextVerifier, Verifier, Wording, debate, mixture, poll_agents,
    self_consistency, single_best, verification,
};
use slm_mux::rule::{ForestTie, Policy, Ranking};

/// Puts everything into one line, so that scripts can tell what they are asked.
struct Plain;

fn user(text: String) -> Vec<Message> {
    vec![Message::new(Role::User, text)]
}

impl Wording for Plain {
    fn ask(&self, question: &Question) -> Vec<Message> {
        user(format!("ask {}", question.text))
    }

    fn reconsider(&self, question: &Question, own: &str, peers: &[&str]) -> Vec<Message> {
        user(format!(
            "again {} own {own} peers {}",
            question.text,
            peers.join(",")
        ))
    }

    fn aggregate(&self, question: &Question, proposals: &[&str]) -> Vec<Message> {
        user(format!(
            "merge {} of {}",
            question.text,
            proposals.join(",")
        ))
    }

    fn verify(&self, question: &Question, candidate: &str, aspect: Aspect) -> Vec<Message> {
        user(format!("verify {} {candidate} {aspect:?}", question.text))
    }

    fn read(&self, text: &str) -> Option<String> {
        (text != "?").then(|| text.to_owned())
    }

    fn stop(&self) -> Vec<String> {
        Vec::new()
    }

    fn n_tokens_max(&self) -> usize {
        8
    }
}

const ASKING: Asking = Asking {
    temperature: 0.5,
    seed: 1,
};

fn question() -> Question {
    Question {
        id: "q1".to_owned(),
        task: "t".to_owned(),
        text: "2+2".to_owned(),
        reference: "4".to_owned(),
    }
}

fn agent(name: &str, script: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Agent {
    let model = Scripted::function(name, move |request: &ChatRequest, sample| {
        Ok(script(&request.messages[0].content, sample))
    });
    Agent {
        name: name.to_owned(),
        model: Arc::new(model),
        wording: Arc::new(Plain),
    }
}

/// Gives `answers` in turn, sample by sample.
fn says(name: &str, answers: &[&str]) -> Agent {
    let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
    agent(name, move |_, sample| {
        answers[sample % answers.len()].clone()
    })
}

fn failing(name: &str) -> Agent {
    Agent {
        name: name.to_owned(),
        model: Arc::new(Scripted::say("4").failing(|_| true)),
        wording: Arc::new(Plain),
    }
}

#[test]
fn one_model_alone_answers_greedily_or_by_plurality() {
    let temperatures = Arc::new(Mutex::new(Vec::new()));
    let seen = temperatures.clone();
    let model = Scripted::function("m", move |request: &ChatRequest, sample| {
        seen.lock().unwrap().push(request.sampling.temperature);
        Ok(["5", "4", "4"][sample].to_owned())
    });
    let agent = Agent {
        name: "m".to_owned(),
        model: Arc::new(model),
        wording: Arc::new(Plain),
    };
    let greedy = block_on(single_best(&agent, &question())).unwrap().unwrap();
    assert_eq!(greedy.answer.as_deref(), Some("5"));
    let voted = block_on(self_consistency(&agent, &question(), 3, ASKING));
    let voted = voted.unwrap().unwrap();
    assert_eq!(voted.answer.as_deref(), Some("4"));
    // Scripted models count words; the prompt counts once per sample.
    assert_eq!((voted.tokens.n_prompt, voted.tokens.n_generated), (6, 3));
    assert_eq!(*temperatures.lock().unwrap(), [0.0, 0.5, 0.5, 0.5]);
}

#[test]
fn a_poll_is_read_by_the_rule_and_by_pooled_votes() {
    // The rule follows the unanimous model; three pooled answers beat its two only in the forest.
    let agents = [
        says("sure", &["4", "4", "4"]),
        says("torn", &["5", "5", "6"]),
        says("torn too", &["5", "5", "7"]),
    ];
    let polled = block_on(poll_agents(&agents, &question(), (3, false), ASKING));
    let poll = polled.unwrap().unwrap();
    let ranking = Ranking::by_accuracy(&[0.1, 0.9, 0.2]);
    let mut random = rand_chacha_of(1);
    let mux = poll.mux(&Policy::reproduction(), &ranking, &mut random);
    assert_eq!(
        (mux.model, mux.answer.as_deref(), mux.count),
        (Some(0), Some("4"), 3)
    );
    let forest = poll.forest(ForestTie::FirstConcatenated, &ranking, &mut random);
    assert_eq!(forest.answer.as_deref(), Some("5"));
    assert_eq!(poll.tokens().n_calls, 3);
}

fn rand_chacha_of(seed: u64) -> impl rand::Rng {
    use rand::SeedableRng;
    rand_pcg::Pcg64Mcg::seed_from_u64(seed)
}

#[test]
fn early_agreement_draws_one_sample_each_and_disagreement_draws_the_rest() {
    let policy = Policy::reproduction();
    let ranking = Ranking::by_accuracy(&[0.5, 0.6]);
    let run = |agents: &[Agent]| {
        let polled = block_on(poll_agents(agents, &question(), (5, true), ASKING));
        let poll = polled.unwrap().unwrap();
        let chosen = poll.mux(&policy, &ranking, &mut rand_chacha_of(1));
        let n_samples: Vec<usize> = poll.models.iter().map(|m| m.replies.len()).collect();
        (poll.exited_early, n_samples, chosen.answer)
    };
    let agreeing = [says("a", &["4"]), says("b", &["4"])];
    assert_eq!(run(&agreeing), (true, vec![1, 1], Some("4".to_owned())));
    let differing = [says("a", &["4"]), says("b", &["5"])];
    // Both are unanimous: the higher validation accuracy decides.
    assert_eq!(run(&differing), (false, vec![5, 5], Some("5".to_owned())));
    let unread = [says("a", &["?"]), says("b", &["?"])];
    assert_eq!(run(&unread), (false, vec![5, 5], None));
}

#[test]
fn a_model_that_fails_abstains_and_all_failing_is_an_error() {
    let agents = [failing("down"), says("up", &["4", "5", "4"])];
    let polled = block_on(poll_agents(&agents, &question(), (3, true), ASKING));
    let poll = polled.unwrap().unwrap();
    assert!(
        poll.models[0]
            .error
            .as_ref()
            .unwrap()
            .contains("on purpose")
    );
    assert!(
        !poll.exited_early,
        "one voice is no agreement of two models"
    );
    let ranking = Ranking::by_accuracy(&[0.9, 0.1]);
    let chosen = poll.mux(&Policy::reproduction(), &ranking, &mut rand_chacha_of(1));
    assert_eq!(
        (chosen.model, chosen.answer.as_deref()),
        (Some(1), Some("4"))
    );
    let agents = [failing("down"), failing("down too")];
    let polled = block_on(poll_agents(&agents, &question(), (3, false), ASKING));
    let error: Error = polled.unwrap().unwrap_err();
    assert!(error.report().contains("down too"), "{}", error.report());
    let nobody = block_on(poll_agents(&[], &question(), (3, false), ASKING)).unwrap();
    assert!(nobody.is_err());
}

#[test]
fn debaters_see_each_others_answers_and_the_last_round_decides() {
    // The first agent is right and gives in; the second insists; the third follows the first.
    let conformist = agent("conformist", |asked, _| {
        if asked.starts_with("again") {
            "5".to_owned()
        } else {
            "4".to_owned()
        }
    });
    let stubborn = says("stubborn", &["5"]);
    let follower = agent("follower", |asked, _| {
        // Peers come in the order of the agents, without oneself.
        if asked == "again 2+2 own 7 peers 4,5" {
            "4".to_owned()
        } else {
            "7".to_owned()
        }
    });
    let agents = [conformist, stubborn, follower];
    let held = block_on(debate(&agents, &question(), 2, ASKING))
        .unwrap()
        .unwrap();
    let answers: Vec<Vec<&str>> = held
        .rounds
        .iter()
        .map(|round| round.iter().map(|reply| reply.text.as_str()).collect())
        .collect();
    assert_eq!(answers, [["4", "5", "7"], ["5", "5", "4"]]);
    assert_eq!(held.answer.as_deref(), Some("5"));
    assert_eq!(held.tokens.n_calls, 6);
    let failure = held.failure(&question()).unwrap();
    assert!(failure.had_right_answer && failure.conformed);
    // Where the debate is right there is no failure, and a wrong answer of one's own invention is
    // no conformity.
    let right = block_on(debate(&agents[..1], &question(), 1, ASKING));
    assert_eq!(right.unwrap().unwrap().failure(&question()), None);
    let inventor = agent("inventor", |asked, _| {
        if asked.starts_with("again") {
            "9".to_owned()
        } else {
            "4".to_owned()
        }
    });
    let agents = [inventor, says("other", &["5"])];
    let held = block_on(debate(&agents, &question(), 2, ASKING))
        .unwrap()
        .unwrap();
    let failure = held.failure(&question()).unwrap();
    assert!(failure.had_right_answer && !failure.conformed);
    assert!(
        block_on(debate(&agents, &question(), 0, ASKING))
            .unwrap()
            .is_err()
    );
}

#[test]
fn an_aggregator_sees_the_proposals_of_the_last_layer() {
    let proposers = [
        agent("a", |asked, _| format!("a{}", asked.len())),
        says("b", &["b"]),
    ];
    let aggregator = agent("last", |asked, _| asked.to_owned());
    let one = block_on(mixture(&proposers, &aggregator, &question(), 1, ASKING));
    let one = one.unwrap().unwrap();
    assert_eq!(one.aggregate.text, "merge 2+2 of a7,b");
    assert_eq!(one.tokens.n_calls, 3);
    let two = block_on(mixture(&proposers, &aggregator, &question(), 2, ASKING));
    let two = two.unwrap().unwrap();
    // The second layer was asked to merge the first: 17 characters.
    assert_eq!(two.aggregate.text, "merge 2+2 of a17,b");
    assert!(
        block_on(mixture(&[], &aggregator, &question(), 1, ASKING))
            .unwrap()
            .is_err()
    );
}

#[test]
fn the_candidate_with_most_approvals_wins_and_equal_texts_are_verified_once() {
    let generator = says("g", &["5", "4", "5", "?"]);
    let judge = Scripted::function("judge", |request: &ChatRequest, _| {
        let asked = &request.messages[0].content;
        let approves = asked.contains(" 4 ") || asked.contains("Steps");
        Ok(if approves { "Yes." } else { "no" }.to_owned())
    });
    let judge = Arc::new(judge);
    let verifier: Arc<dyn Verifier> = Arc::new(TextVerifier {
        model: judge.clone() as Arc<dyn ChatModel>,
        wording: Arc::new(Plain),
        n_tokens_max: 4,
    });
    let aspects = [Aspect::Steps, Aspect::Logic, Aspect::Overall];
    let (asked, verifiers) = (question(), [verifier]);
    let found = verification(&generator, &verifiers, &aspects, &asked, 4, ASKING);
    let found = block_on(found).unwrap().unwrap();
    assert_eq!(found.answer.as_deref(), Some("4"));
    let approvals: Vec<f64> = found.candidates.iter().map(|c| c.approval).collect();
    assert_eq!(approvals, [1.0, 3.0]);
    assert_eq!((found.n_drawn, judge.n_calls()), (4, 6));
    assert_eq!(found.tokens.n_calls, 7);
    let nobody = verification(&generator, &[], &aspects, &asked, 4, ASKING);
    assert!(block_on(nobody).unwrap().is_err());
}

#[test]
fn requests_about_one_question_have_seeds_of_their_own() {
    let seeds = Arc::new(Mutex::new(Vec::new()));
    let seen = seeds.clone();
    let model = Scripted::function("m", move |request: &ChatRequest, _| {
        seen.lock().unwrap().push(request.sampling.seed);
        Ok("4".to_owned())
    });
    let model: Arc<dyn ChatModel> = Arc::new(model);
    let agents: Vec<Agent> = ["a", "b"]
        .iter()
        .map(|name| Agent {
            name: (*name).to_owned(),
            model: model.clone(),
            wording: Arc::new(Plain),
        })
        .collect();
    block_on(debate(&agents, &question(), 2, ASKING))
        .unwrap()
        .unwrap();
    let mut first = std::mem::take(&mut *seeds.lock().unwrap());
    first.sort_unstable();
    block_on(debate(&agents, &question(), 2, ASKING))
        .unwrap()
        .unwrap();
    let mut again = std::mem::take(&mut *seeds.lock().unwrap());
    again.sort_unstable();
    assert_eq!(first, again);
    first.dedup();
    assert_eq!(first.len(), 4, "two agents and two rounds");
}
