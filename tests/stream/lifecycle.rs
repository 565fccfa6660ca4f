//! The table of a stream's life: its shape, its edges, and the diagram in the spec that is drawn from it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use portline::stream::lifecycle::{Closing, Effect, Input, State, next};

/// What an input is called in the diagram.
const fn label(input: Input) -> &'static str {
    match input {
        Input::Open => "opening sent or received",
        Input::Attach => "channel attached",
        Input::Flow => "data or credit",
        Input::PeerEnd => "end received",
        Input::PeerError => "error received",
        Input::PeerCancel => "cancel received",
        Input::Fault => "peer's fault",
        Input::Complete => "both directions done",
        Input::Fail => "fail",
        Input::Cancel => "cancel",
        Input::Timeout => "timeout",
        Input::Disconnect => "channel closed",
        Input::Told => "last frame sent",
        Input::Delivered => "all delivered",
    }
}

/// The table as a diagram: an arrow for each pair of states, with the inputs that lead from one to the other. Inputs
/// that change nothing have none.
fn diagram() -> String {
    let mut edges = BTreeMap::<(usize, usize), Vec<&str>>::new();
    let place = |state: State| {
        State::ALL.iter().map(|state| state.name()).position(|name| name == state.name()).unwrap()
    };
    for state in State::ALL {
        for input in Input::ALL {
            let (to, effect) = next(state, input);
            let stays = to.name() == state.name();
            if stays && effect != Effect::Move {
                continue;
            }
            let labels = edges.entry((place(state), place(to))).or_default();
            if !labels.contains(&label(input)) {
                labels.push(label(input));
            }
        }
    }
    let mut text = String::from("```mermaid\nstateDiagram-v2\n    [*] --> IDLE\n");
    for ((from, to), labels) in edges {
        let (from, to) = (State::ALL[from].name(), State::ALL[to].name());
        writeln!(text, "    {from} --> {to} : {}", labels.join(", ")).unwrap();
    }
    text.push_str("    CLOSED --> [*]\n```\n");
    text
}

/// STREAM-1. With `PORTLINE_DRAW=1` the diagram in the chapter is written anew.
#[test]
fn stream_1_the_diagram_in_the_spec_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/09-stream.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- drawn by tests/stream/lifecycle.rs -->\n").unwrap();
    let (drawn, after) = rest.split_once("<!-- end -->").unwrap();
    let expected = diagram();
    if std::env::var_os("PORTLINE_DRAW").is_some() {
        let marked =
            format!("{before}<!-- drawn by tests/stream/lifecycle.rs -->\n{expected}<!-- end -->{after}");
        std::fs::write(&path, marked).unwrap();
    } else {
        assert_eq!(drawn, expected, "run this test with PORTLINE_DRAW=1");
    }
}

/// STREAM-1: every arrow of the seed's diagram is there.
#[test]
fn stream_1_the_table_contains_the_diagram_of_the_seed() {
    let closing = |kind| State::Closing(kind);
    for (from, input, to) in [
        (State::Idle, Input::Open, State::Opening),
        (State::Opening, Input::Attach, State::Active),
        (State::Active, Input::Flow, State::Active),
        (State::Active, Input::PeerEnd, closing(Closing::Draining)),
        (State::Active, Input::PeerError, closing(Closing::Hearing)),
        (State::Active, Input::PeerCancel, closing(Closing::Hearing)),
        (State::Active, Input::Complete, closing(Closing::Ending)),
        (State::Active, Input::Fail, closing(Closing::Telling)),
        (State::Active, Input::Cancel, closing(Closing::Telling)),
        (closing(Closing::Draining), Input::Delivered, State::Closed),
        (closing(Closing::Telling), Input::Told, State::Closed),
    ] {
        assert_eq!(next(from, input).0, to, "{from:?} {input:?}");
    }
}

/// STREAM-1, STREAM-19: life only goes forward, CLOSED is for good, and the way into it is the terminal action.
#[test]
fn stream_19_closed_is_entered_once_and_never_left() {
    let order = |state: State| State::ALL.iter().position(|other| *other == state).unwrap();
    let stage = |state: State| {
        ["IDLE", "OPENING", "ACTIVE", "CLOSING", "CLOSED"].iter().position(|n| *n == state.name())
    };
    for state in State::ALL {
        assert_eq!(State::ALL[order(state)], state);
        for input in Input::ALL {
            let (to, effect) = next(state, input);
            assert!(stage(to) >= stage(state), "{state:?} {input:?} goes back to {to:?}");
            let enters = to == State::Closed && state != State::Closed;
            assert_eq!(enters, effect == Effect::Close, "{state:?} {input:?}");
            if effect == Effect::Nothing
                && !(state == State::Closing(Closing::Waiting) && input == Input::Attach)
            {
                assert_eq!(state, to, "{state:?} {input:?} moves without an effect");
            }
        }
    }
}

/// STREAM-1: no frame is valid before the stream is open or after it is over.
#[test]
fn stream_1_frames_are_valid_only_while_the_stream_lives() {
    for state in State::ALL {
        for input in [Input::Flow, Input::PeerEnd, Input::PeerError, Input::PeerCancel] {
            let (_, effect) = next(state, input);
            match state {
                State::Idle | State::Opening => assert_eq!(effect, Effect::Refuse),
                State::Closed | State::Closing(Closing::Waiting | Closing::Draining) => {
                    assert_eq!(effect, Effect::Late);
                }
                State::Active | State::Closing(_) => {
                    assert!(!matches!(effect, Effect::Nothing | Effect::Refuse));
                }
            }
        }
    }
}
