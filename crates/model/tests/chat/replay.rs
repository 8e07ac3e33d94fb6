//! Recordings answer what was recorded, and nothing else.

use std::sync::Arc;

use model::chat::{ChatModel, ChatRequest, Recorder, Replay, SampleCalls, Scripted, ThinkTags};

use crate::server::{Server, says};
use crate::support::{ask, endpoint, request, settings};

#[tokio::test]
async fn a_recording_answers_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let model = Scripted::echo().failing(|request| request.messages[0].content == "bad");
    let recorder = Recorder::open(model, &path).unwrap();
    let first = recorder.chat(&request("one")).await.unwrap();
    assert!(recorder.chat(&request("bad")).await.is_err());
    recorder.chat(&request("two")).await.unwrap();
    let replay = Replay::open(&path).unwrap();
    assert_eq!((replay.n_requests(), replay.name()), (2, "scripted:echo"));
    let again = replay.chat(&request("one")).await.unwrap();
    assert_eq!(again.choices, first.choices);
    assert_eq!((again.usage, again.attempts), (first.usage, 0));
    assert!(replay.chat(&request("bad")).await.is_err());
}

#[tokio::test]
async fn a_torn_last_line_is_dropped_and_recording_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let recorder = Recorder::open(Scripted::echo(), &path).unwrap();
    recorder.chat(&request("one")).await.unwrap();
    recorder.chat(&request("two")).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let second = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for n_bytes in [second + 1, second + 50, whole.len() - 1] {
        std::fs::write(&path, &whole[..n_bytes]).unwrap();
        assert_eq!(Replay::open(&path).unwrap().n_requests(), 1);
        let recorder = Recorder::open(Scripted::echo(), &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole[..second]);
        recorder.chat(&request("three")).await.unwrap();
        assert_eq!(Replay::open(&path).unwrap().n_requests(), 2);
    }
    for n_bytes in [0, 1, second - 1] {
        std::fs::write(&path, &whole[..n_bytes]).unwrap();
        assert!(Replay::open(&path).is_err());
        Recorder::open(Scripted::echo(), &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}

#[tokio::test]
async fn the_first_recorded_answer_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let model = Scripted::list("l", vec!["first".to_owned(), "second".to_owned()]);
    let recorder = Recorder::open(model, &path).unwrap();
    recorder.chat(&request("a")).await.unwrap();
    recorder.chat(&request("a")).await.unwrap();
    let replay = Replay::open(&path).unwrap();
    let answer = replay.chat(&request("a")).await.unwrap();
    assert_eq!(answer.choices[0].text, "first");
}

#[tokio::test]
async fn an_unknown_request_is_compared_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let recorder = Recorder::open(Scripted::echo(), &path).unwrap();
    let mut far = request("something else entirely");
    far.n_tokens_max = 1;
    far.sampling.temperature = 0.0;
    recorder.chat(&far).await.unwrap();
    recorder
        .chat(&request("the same start, ending A"))
        .await
        .unwrap();
    let replay = Replay::open(&path).unwrap();
    type Change = fn(&mut ChatRequest);
    let changes: [(Change, &str); 3] = [
        (
            |r| r.messages[0].content = "the same start, ending B\u{1b}".to_owned(),
            "messages[0].content from character 23 (`A` recorded, `B\\u{1b}` asked)",
        ),
        (
            |r| r.sampling.seed = 9,
            "sampling.seed (1 recorded, 9 asked)",
        ),
        (
            |r| r.stop.push("x".to_owned()),
            "stop (0 recorded, 1 asked)",
        ),
    ];
    for (change, named) in changes {
        let mut unknown = request("the same start, ending A");
        change(&mut unknown);
        let error = replay.chat(&unknown).await.unwrap_err().report();
        assert!(error.contains(named), "{error}");
    }
}

#[tokio::test]
async fn files_that_are_no_recordings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    assert!(Replay::open(&path).is_err(), "absent");
    for (text, named) in [
        ("", "no recorded answer"),
        ("{}\n", "line 1"),
        ("not json\n{}\n", "line 1"),
    ] {
        std::fs::write(&path, text).unwrap();
        let report = Replay::open(&path).unwrap_err().report();
        assert!(report.contains(named), "{report}");
    }
}

#[tokio::test]
async fn a_cache_is_a_recording_too() {
    let server = Server::with(|idx, _| says(&format!("<think>t</think>{idx}"))).await;
    let folder = tempfile::tempdir().unwrap();
    for samples in [SampleCalls::Together, SampleCalls::Separate] {
        let mut settings = settings(&server.address);
        settings.cache = Some(folder.path().to_owned());
        settings.samples = samples;
        settings.think_tags = ThinkTags::Split;
        let endpoint = endpoint(settings);
        let mut question = request("a");
        question.n_samples = if samples == SampleCalls::Separate {
            3
        } else {
            1
        };
        let live = ask(&endpoint, &question).await.answer.unwrap();
        std::fs::write(folder.path().join("torn.json"), "{").unwrap();
        let replay = Replay::open_cache(folder.path(), ThinkTags::Split).unwrap();
        assert_eq!(replay.name(), "m");
        let again = replay.chat(&question).await.unwrap();
        assert_eq!(again.choices, live.choices);
        assert_eq!(
            (again.usage.n_generated, again.attempts),
            (live.usage.n_generated, 0)
        );
        question.sampling.seed = 77;
        let error = replay.chat(&question).await.unwrap_err().report();
        assert!(error.contains("sampling.seed"), "{error}");
    }
}

#[tokio::test]
async fn scripts_fail_and_wait_as_told() {
    let pause = std::time::Duration::from_millis(30);
    let model = Arc::new(
        Scripted::function("f", |request, sample_idx| {
            Ok(format!("{} {sample_idx}", request.messages[0].content))
        })
        .delayed(pause)
        .failing(|request| request.sampling.seed == 13),
    );
    let mut question = request("a b");
    question.n_samples = 2;
    let start = std::time::Instant::now();
    let answer = model.chat(&question).await.unwrap();
    assert!(start.elapsed() >= pause);
    assert_eq!(answer.choices[1].text, "a b 1");
    assert_eq!((answer.usage.n_prompt, answer.usage.n_generated), (4, 6));
    question.sampling.seed = 13;
    assert!(model.chat(&question).await.is_err());
    assert_eq!(model.n_calls(), 2);
    let one = Scripted::list("l", vec!["x".to_owned()]);
    one.chat(&request("a")).await.unwrap();
    let report = one.chat(&request("a")).await.unwrap_err().report();
    assert!(report.contains("used up"), "{report}");
}
