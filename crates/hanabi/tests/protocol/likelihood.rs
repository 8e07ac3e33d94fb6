//! Players and judges by likelihood, with a made-up model and with the real ones.

#![expect(clippy::print_stderr, reason = "what was not checked must be seen")]

use std::path::PathBuf;
use std::sync::Arc;

use eval::Result;
use hanabi::judges::{LikelihoodJudge, Order, Question};
use hanabi::language::{CoordQaItem, OrderOfMind, Scorer, read_coordqa};
use hanabi::protocol::{GameRecord, Games, LikelihoodPlayer, Player, Statement};
use hanabi::rules::Game;
use hanabi::world::{Intent, Kind};
use model::chat::{Message, block_on};
use model::generate::{
    Choice, Completion, CompletionRequest, LanguageModel, Score, ScoreRequest, TokenSink, Usage,
};
use model::serve::{Codec, Encoded};

use super::support::{played, table};

/// Bytes as tokens; the next one is as likely as a hash of the last few says.
struct Hashed;

impl LanguageModel for Hashed {
    fn name(&self) -> &str {
        "hashed"
    }

    fn n_context(&self) -> usize {
        1 << 20
    }

    fn complete(
        &self,
        _: &[CompletionRequest],
        _: Option<TokenSink<'_>>,
    ) -> Result<Vec<Completion>> {
        Err(eval::Error::internal("nothing is generated here"))
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>> {
        let score = |request: &ScoreRequest| Score {
            logprobs: request
                .continuations
                .iter()
                .map(|tokens| logprobs(&request.prompt, tokens))
                .collect(),
            usage: Usage::default(),
        };
        Ok(requests.iter().map(score).collect())
    }

    fn choose(&self, _: &[u32], _: &[Vec<u32>]) -> Result<Choice> {
        Err(eval::Error::internal("options are scored"))
    }

    fn hidden(&self, _: &[Vec<u32>], _: usize) -> Result<Vec<Vec<f32>>> {
        Err(eval::Error::internal("nothing is hidden here"))
    }
}

fn logprobs(prompt: &[u32], tokens: &[u32]) -> Vec<f32> {
    let mut hash = prompt
        .iter()
        .fold(7_u32, |hash, t| hash.wrapping_mul(31).wrapping_add(*t));
    tokens
        .iter()
        .map(|token| {
            hash = hash.wrapping_mul(0x9e37_79b9).rotate_left(5) ^ token;
            -((hash % 1000) as f32) / 200.0
        })
        .collect()
}

struct Bytes;

impl Codec for Bytes {
    fn encode(&self, text: &str) -> Result<Encoded> {
        Ok(Encoded {
            ids: text.bytes().map(u32::from).collect(),
            n_added: 0,
        })
    }

    fn encode_piece(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode(text)?.ids)
    }

    fn encode_chat(&self, _: &[Message]) -> Result<Vec<u32>> {
        Err(eval::Error::internal("no template"))
    }

    fn has_chat(&self) -> bool {
        false
    }

    fn token_bytes(&self, _: u32) -> Option<Vec<u8>> {
        None
    }

    fn stop_tokens(&self) -> Vec<u32> {
        Vec::new()
    }
}

fn record(seed: u64) -> GameRecord {
    let scorer = Arc::new(Scorer::new(Arc::new(Hashed), Arc::new(Bytes)));
    let player = |_| LikelihoodPlayer::new("local:hashed", scorer.clone());
    played(table(5, player), seed)
}

#[test]
fn whole_games_are_legal_with_statements_and_without_format_failures() {
    let mut n_hints = 0;
    for seed in 0..4 {
        let record = record(seed);
        assert_eq!((record.end.format_failures, record.end.n_fallbacks), (0, 0));
        for turn in &record.turns {
            if let Some(hint) = &turn.hint {
                n_hints += 1;
                assert!(hint.rationale.is_some() && hint.prediction.is_some());
                assert_eq!(turn.replies.n_replies, 3);
            }
        }
        assert!(
            record.end.n_hints_without_statements <= 1,
            "the last move leaves no time"
        );
    }
    assert!(n_hints > 5, "{n_hints}");
    assert_eq!(record(2), record(2));
}

/// The published items, where a mirror of data sets holds them.
#[test]
fn the_items_of_coordqa_split_by_order_as_counted() {
    let folder = std::env::var_os("DATASETS_MIRROR").map(PathBuf::from);
    let path = folder.map(|folder| folder.join("hanabi").join("single_turn.csv"));
    let Some(path) = path.filter(|path| path.is_file()) else {
        eprintln!("NOT CHECKED: the items of CoordQA; set DATASETS_MIRROR to a folder with them");
        return;
    };
    let items = read_coordqa(&path).unwrap();
    assert_eq!(items.len(), 28);
    let first: Vec<usize> = items
        .iter()
        .filter(|item| item.order == OrderOfMind::First)
        .map(|item| item.number)
        .collect();
    assert_eq!(first, [4, 5, 6, 17, 23, 24, 25]);
    for (order, guessing) in [(OrderOfMind::First, 0.1286), (OrderOfMind::Second, 0.1552)] {
        let rates = items.iter().filter(|item| item.order == order);
        let rates: Vec<f64> = rates.map(CoordQaItem::guessing_rate).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!((mean - guessing).abs() < 5e-5, "{order:?}: {mean}");
    }
    let odd = items.iter().filter(|item| !item.is_consistent);
    assert_eq!(odd.map(|item| item.number).collect::<Vec<_>>(), [5, 12]);
}

/// The real models with a chat template and without one, or nothing, said loudly.
fn real() -> Vec<(String, Arc<Scorer>)> {
    let folder = std::env::var_os("MODEL_WEIGHTS").map(PathBuf::from);
    let files = [
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "gemma-3-270m-q4_k_m.gguf",
    ];
    let found = files.into_iter().filter_map(|file| {
        let path = folder.as_ref().map(|folder| folder.join(file));
        let Some(path) = path.filter(|path| path.is_file()) else {
            eprintln!("NOT CHECKED with `{file}`: set MODEL_WEIGHTS to the folder that holds it");
            return None;
        };
        Some((file.to_owned(), Arc::new(Scorer::open(&path, 2).unwrap())))
    });
    found.collect()
}

#[test]
fn real_models_move_legally_and_judge_on_the_scale() {
    for (file, scorer) in real() {
        let game = Game::new(5, Games::new(1, 0).deck(0)).unwrap();
        let mut player = LikelihoodPlayer::new(file.clone(), scorer.clone());
        let turn = block_on(player.act(game.view(0))).unwrap().unwrap();
        assert!(game.legal() >> turn.action & 1 == 1, "{file}: {turn:?}");
        let judge = LikelihoodJudge::new(file.clone(), scorer);
        let play = Statement::templated(Intent::about(Kind::Play, 1), 0);
        let question = Question {
            order: Order::Second,
            a: &play,
            b: &play,
        };
        let judgement = judge.judge(&question).unwrap();
        assert!(judgement.score.unwrap() <= 5, "{file}");
        let expected = judgement.expected.unwrap();
        assert!(expected > 0.0 && expected < 5.0, "{file}: {expected}");
    }
}
