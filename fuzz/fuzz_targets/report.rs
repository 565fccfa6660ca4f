//! Any report to a push: success exactly when a plain reading finds `unpack ok` and one `ok` for each ref, and what was
//! read is, written again, read as the same; and
//! progress lines, which do not depend on the split. What is held is in proportion to what came.
#![no_main]

mod common;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{Said, heap, name};
use libfuzzer_sys::fuzz_target;
use portline::git::push::report::{Report, ReportParser};
use portline::git::{Progress, ProgressLines};
use portline::limits;
use portline::pkt::{Packet, Reader};

const LINES: &[&str] = &[
    "unpack ok\n",
    "unpack ok",
    "unpack no",
    "ok $\n",
    "ok $",
    "ok $ x",
    "ng $ why\n",
    "ng $",
    "option refname $",
    "option new-oid @",
    "option forced-update",
    "option what",
    "ok refs/heads/other",
    "ok",
];

#[derive(Arbitrary, Debug)]
enum Input {
    Report { refs: u8, options: bool, said: Vec<Said> },
    Progress { cut: u8, text: Vec<u8> },
}

/// The number of plain `ok` lines for `wanted`, if nothing but those and one leading `unpack ok` is there.
fn is_plain_success(lines: &[Bytes], wanted: usize) -> bool {
    let mut lines = lines.iter().map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    if lines.next() != Some(b"unpack ok") {
        return false;
    }
    let rest: Vec<&[u8]> = lines.collect();
    rest.len() == wanted
        && (0..wanted).all(|of| rest.contains(&[b"ok ", name(of as u8).as_bytes()].concat().as_slice()))
}

/// The lines of a report, as a server writes them.
fn lines_of(report: &Report) -> Vec<Bytes> {
    let line = |words: &[&[u8]]| Bytes::from([&words.join(&b' ')[..], b"\n"].concat());
    let mut lines = vec![line(&[b"unpack", report.unpack.as_ref().map_or_else(|why| &why[..], |()| b"ok")])];
    for one in &report.refs {
        let name = one.name.as_bytes();
        match &one.result {
            Err(why) => lines.push(line(&[b"ng", name, why])),
            Ok(()) if one.updates.is_empty() => lines.push(line(&[b"ok", name])),
            Ok(()) => {}
        }
        for update in &one.updates {
            lines.push(line(&[b"ok", name]));
            let mut option = |key: &[u8], value: &[u8]| lines.push(line(&[b"option", key, value]));
            // Otherwise one that changed nothing is none.
            option(b"what", b"ever");
            update.name.iter().for_each(|name| option(b"refname", name.as_bytes()));
            update.old.iter().for_each(|id| option(b"old-oid", id.to_string().as_bytes()));
            update.new.iter().for_each(|id| option(b"new-oid", id.to_string().as_bytes()));
            if update.forced {
                option(b"forced-update", b"");
            }
        }
    }
    lines
}

/// What was read is, written again, read as the same.
fn reads_back(report: &Report, parser: impl Fn() -> ReportParser) {
    let mut parser = parser();
    for line in lines_of(report) {
        assert_eq!(parser.handle_packet(Packet::Data(line)), Ok(None));
    }
    assert_eq!(parser.handle_packet(Packet::Flush).as_ref(), Ok(&Some(report.clone())));
}

fn report(refs: u8, options: bool, said: &[Said]) {
    let wanted = usize::from(refs % 4) + 1;
    let new = || ReportParser::new((0..wanted).map(|of| name(of as u8)), options);
    let mut parser = new();
    let mut reader = Reader::new();
    reader.handle_bytes(said.iter().flat_map(|one| one.bytes(LINES)).collect::<Vec<u8>>().into());
    let mut lines = Vec::new();
    while let Ok(Some(packet)) = reader.next_packet() {
        if let Packet::Data(line) = &packet {
            lines.push(line.clone());
        }
        match parser.handle_packet(packet) {
            Ok(None) => {}
            Ok(Some(report)) => {
                assert_eq!(report.refs.len(), wanted);
                reads_back(&report, new);
                if is_plain_success(&lines, wanted) {
                    assert!(report.is_success());
                }
                if report.is_success() {
                    for of in 0..wanted {
                        let ok = [b"ok ", name(of as u8).as_bytes()].concat();
                        assert!(lines.iter().any(|line| line.starts_with(&ok)));
                    }
                    assert!(
                        lines[0].starts_with(b"unpack ok")
                            && !lines.iter().any(|line| line.starts_with(b"ng "))
                    );
                }
                return;
            }
            Err(_) => return,
        }
    }
}

fn progress(cut: u8, text: &[u8]) {
    let read = |size: usize| {
        let mut lines = ProgressLines::new();
        let mut seen: Vec<_> = text.chunks(size).flat_map(|piece| lines.handle_bytes(piece)).collect();
        seen.extend(lines.finish());
        seen
    };
    let whole = read(text.len().max(1));
    assert_eq!(read(usize::from(cut) + 1), whole);
    for line in whole {
        assert!(!line.text.is_empty() && line.text.len() <= limits::PROGRESS_LINE);
        if let Some(seen) = Progress::parse(&line.text) {
            assert!(seen.percent.is_none_or(|percent| percent <= 100));
            assert!(line.text.starts_with(seen.title));
        }
    }
}

fuzz_target!(|input: Input| {
    // Of what was said each line is copied some times, and each costs a place in a list that doubles.
    let size = match &input {
        Input::Report { said, .. } => said.iter().map(|one| one.bytes(LINES).len() + 300).sum(),
        Input::Progress { text, .. } => text.len(),
    };
    heap::bounded(64 * size + (16 << 10), || match &input {
        Input::Report { refs, options, said } => report(*refs, *options, said),
        Input::Progress { cut, text } => progress(*cut, text),
    });
});
