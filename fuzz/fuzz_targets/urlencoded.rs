//! Any form in any split: the same pairs as the whole, within bounded memory, an error stays, and what is written again
//! is read the same.
#![no_main]

#[path = "common/heap.rs"]
mod heap;
#[path = "common/oracle.rs"]
mod oracle;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oracle::Sticky;
use portline::Instant;
use portline::body::urlencoded::{Action, Config, Error, Parser, Writer};

const NOW: Instant = Instant::ZERO;

#[derive(Arbitrary, Debug)]
struct Input {
    small: bool,
    cuts: Vec<u8>,
    form: Vec<u8>,
}

type Seen = (Vec<(Bytes, Bytes)>, Option<Result<(), Error>>);

fn parse(config: &Config, pieces: impl IntoIterator<Item = Bytes>) -> Seen {
    let mut parser = Parser::new(config.clone(), NOW);
    let (mut seen, mut failed) = (Seen::default(), Sticky::default());
    for piece in pieces.into_iter().map(Some).chain([None]) {
        failed.heard(match piece {
            Some(piece) => parser.handle_bytes(NOW, piece),
            None => parser.handle_closed(NOW),
        });
        while let Some(action) = parser.poll_action() {
            assert!(seen.1.is_none(), "{action:?} after the end");
            match action {
                Action::Pair { name, value } => seen.0.push((name, value)),
                Action::Finished => seen.1 = Some(Ok(())),
                Action::Failed(error) => {
                    failed.told(&error);
                    seen.1 = Some(Err(error));
                }
            }
        }
    }
    assert!(parser.has_ended());
    seen
}

fuzz_target!(|input: Input| {
    let mut config = Config::default();
    if input.small {
        (config.max_pairs, config.max_pair, config.max_body) = (4, 10, 60);
    }
    let form = Bytes::from(input.form);
    // A pair is at least one byte, and two lists that double keep some sixty bytes of it, twice.
    let most = 512 * form.len() + 4096;
    let whole = heap::bounded(most, || parse(&config, [form.clone()]));
    let pieces = oracle::split(&form, &input.cuts);
    assert_eq!(heap::bounded(most, || parse(&config, pieces)), whole);
    assert_eq!(parse(&config, (0..form.len()).map(|at| form.slice(at..=at))), whole);
    if whole.1 != Some(Ok(())) {
        assert!(input.small || form.len() > 4096);
        return;
    }
    let mut writer = Writer::new(NOW);
    let mut again = Vec::new();
    for (name, value) in &whole.0 {
        writer.pair(NOW, name, value).unwrap();
        while let Some(transmit) = writer.poll_transmit() {
            again.extend_from_slice(&transmit.into_bytes());
        }
    }
    writer.finish(NOW);
    assert!(writer.has_ended());
    assert_eq!(parse(&Config::default(), [Bytes::from(again)]), whole);
});
