//! Recorded games are read back as they were written.

use hanabi::rules::{HanabLive, Trace, print_replay};
use proptest::prelude::*;

use crate::recipes;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_trace_line_reads_back(recipe in recipes()) {
        let trace = recipe.trace();
        prop_assert_eq!(Trace::parse(&trace.to_line()).unwrap(), trace);
    }

    #[test]
    fn a_hanab_live_document_reads_back_to_the_letter(
        recipe in recipes(),
        name in "\\PC{0,12}",
        note in any::<String>(),
    ) {
        let trace = recipe.trace();
        let names: Vec<String> = (0..trace.n_players).map(|seat| format!("{name}{seat}")).collect();
        let mut live = HanabLive::from_trace(&trace, &names).unwrap();
        live.rest.insert("notes".into(), serde_json::json!([[note]]));
        let text = serde_json::to_string(&live).unwrap();
        let read = HanabLive::parse(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
        prop_assert_eq!(&read.players, &names);
        prop_assert_eq!(&read.rest, &live.rest);
        let back = read.to_trace().unwrap();
        prop_assert_eq!(print_replay(&back).unwrap(), print_replay(&trace).unwrap());
        prop_assert_eq!(back, trace);
    }

    #[test]
    fn a_damaged_document_is_an_error_or_another_legal_game(
        recipe in recipes(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let trace = recipe.trace();
        let names: Vec<String> = (0..trace.n_players).map(|seat| format!("p{seat}")).collect();
        let live = HanabLive::from_trace(&trace, &names).unwrap();
        for text in [serde_json::to_string(&live).unwrap(), trace.to_line()] {
            let mut bytes = text.into_bytes();
            let place = at.index(bytes.len());
            if cut {
                bytes.truncate(place);
            } else {
                bytes[place] = byte;
            }
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(trace) = HanabLive::parse(&text).and_then(|live| live.to_trace()) {
                prop_assert!(trace.replay(|_, _, _| ()).is_ok());
            }
            if let Ok(trace) = Trace::parse(&text) {
                // The actions of a damaged line need not be legal; replaying says so.
                let _ = trace.replay(|_, _, _| ());
            }
        }
    }
}
