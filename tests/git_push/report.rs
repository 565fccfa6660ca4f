//! A push's report counts only as a whole (PUSH-6, PUSH-7, T21): one line for each ref asked, none twice, none for
//! another, and every way of falling short is named.

use crate::push_support::{ID, OTHER, id, name};
use bytes::Bytes;
use portline::git::push::report::{RefReport, Report, ReportError, ReportParser, Updated};
use portline::pkt::Packet;

fn read(asked: &[&str], v2: bool, lines: &[&str]) -> (Result<Report, ReportError>, Option<Report>) {
    let mut parser = ReportParser::new(asked.iter().map(|asked| name(asked)), v2);
    for line in lines {
        match parser.handle_packet(Packet::Data(Bytes::copy_from_slice(line.as_bytes()))) {
            Ok(None) => {}
            Ok(Some(_)) => panic!("a report ends with a flush"),
            Err(error) => return (Err(error), Some(parser.into_partial())),
        }
    }
    match parser.handle_packet(Packet::Flush) {
        Ok(report) => (Ok(report.unwrap()), None),
        Err(error) => (Err(error), Some(parser.into_partial())),
    }
}

fn parse(asked: &[&str], lines: &[&str]) -> Result<Report, ReportError> {
    read(asked, false, lines).0
}

fn entry(of: &str, result: Result<(), &'static str>) -> RefReport {
    let result = result.map_err(|reason| Bytes::from_static(reason.as_bytes()));
    RefReport { name: name(of), result, updates: vec![] }
}

#[test]
fn push_6_entries_come_in_the_order_of_the_commands() {
    let lines =
        ["unpack ok\n", "ng refs/heads/b stale info, really\n", "ok refs/heads/a", "ng refs/heads/c\n"];
    let report = parse(&["refs/heads/a", "refs/heads/b", "refs/heads/c"], &lines).unwrap();
    let refs = vec![
        entry("refs/heads/a", Ok(())),
        entry("refs/heads/b", Err("stale info, really")),
        entry("refs/heads/c", Err("")),
    ];
    assert_eq!(report, Report { unpack: Ok(()), refs });
    assert!(!report.is_success());
}

#[test]
fn push_6_success_is_unpack_ok_and_every_ref_ok() {
    let asked = ["refs/heads/a", "refs/heads/b"];
    let both = ["ok refs/heads/a", "ok refs/heads/b"];
    assert!(parse(&asked, &["unpack ok", both[0], both[1]]).unwrap().is_success());
    let failed = parse(&asked, &["unpack index-pack died", both[0], both[1]]).unwrap();
    assert!(!failed.is_success());
    assert_eq!(failed.unpack, Err(Bytes::from_static(b"index-pack died")));
}

/// The server could not unpack and left it at that: every ref shares the reason.
#[test]
fn push_6_refs_without_a_line_share_the_reason_of_a_failed_unpack() {
    let report =
        parse(&["refs/heads/a", "refs/heads/b"], &["unpack disk full", "ng refs/heads/b no"]).unwrap();
    let refs = vec![entry("refs/heads/a", Err("disk full")), entry("refs/heads/b", Err("no"))];
    assert_eq!(report.refs, refs);
}

/// T21.
#[test]
fn push_6_what_falls_short_of_a_report_is_named() {
    let asked = ["refs/heads/a", "refs/heads/b"];
    let (a, b) = ("ok refs/heads/a", "ok refs/heads/b");
    let cases: [(&[&str], ReportError); 12] = [
        (&[], ReportError::NoUnpack),
        (&[a, b], ReportError::NoUnpack),
        (&["unpacked ok"], ReportError::NoUnpack),
        (&["unpack ok"], ReportError::Missing { name: name("refs/heads/a") }),
        (&["unpack ok", a], ReportError::Missing { name: name("refs/heads/b") }),
        (&["unpack ok", a, a, b], ReportError::Repeated { name: name("refs/heads/a") }),
        (&["unpack ok", a, "ng refs/heads/a x"], ReportError::Repeated { name: name("refs/heads/a") }),
        (&["unpack ok", "ng refs/heads/a x", a], ReportError::Repeated { name: name("refs/heads/a") }),
        (&["unpack ok", "ok refs/heads/c"], ReportError::Unknown { name: "refs/heads/c".into() }),
        (&["unpack ok", "ng ../x y"], ReportError::Unknown { name: "../x".into() }),
        (&["unpack ok", "refs/heads/a"], ReportError::Malformed { line: "refs/heads/a".into() }),
        (&["unpack ok", "option refname x"], ReportError::Malformed { line: "option refname x".into() }),
    ];
    for (lines, error) in cases {
        assert_eq!(parse(&asked, lines), Err(error), "{lines:?}");
    }
    for packet in [Packet::Delim, Packet::ResponseEnd] {
        let mut parser = ReportParser::new([name("refs/heads/a")], false);
        assert_eq!(parser.handle_packet(packet), Err(ReportError::UnexpectedPacket));
    }
}

#[test]
fn push_6_what_was_understood_of_a_bad_report_is_kept() {
    let (result, partial) = read(&["refs/heads/a", "refs/heads/b"], false, &["unpack ok", "ok refs/heads/a"]);
    assert!(result.is_err());
    assert_eq!(partial.unwrap(), Report { unpack: Ok(()), refs: vec![entry("refs/heads/a", Ok(()))] });
    let (_, partial) = read(&["refs/heads/a"], false, &[]);
    assert!(!partial.unwrap().is_success());
}

#[test]
fn push_7_options_tell_what_the_server_did_instead() {
    let old = format!("option old-oid {ID}\n");
    let new = format!("option new-oid {OTHER}");
    let lines = [
        "unpack ok",
        "ok refs/for/main\n",
        "option refname refs/changes/1\n",
        &old,
        &new,
        "option forced-update\n",
        "option of-the-future 1",
        "ok refs/for/main",
        "option refname refs/changes/2",
        "ok refs/heads/a",
    ];
    let report = read(&["refs/for/main", "refs/heads/a"], true, &lines).0.unwrap();
    assert!(report.is_success());
    let first =
        Updated { name: Some(name("refs/changes/1")), old: Some(id(ID)), new: Some(id(OTHER)), forced: true };
    let second = Updated { name: Some(name("refs/changes/2")), ..Updated::default() };
    assert_eq!(report.refs[0].updates, [first, second]);
    assert_eq!(report.refs[1].updates, []);
    // One of which nothing is known is no reason to fail.
    let lines = ["unpack ok", "ok refs/for/main", "option of-the-future 1", "ok refs/heads/a"];
    let report = read(&["refs/for/main", "refs/heads/a"], true, &lines).0.unwrap();
    assert!(report.is_success());
    assert_eq!(report.refs[0].updates, [Updated::default()]);
}

/// T21: an `ok` may only be repeated to carry options of its own.
#[test]
fn push_7_a_repetition_without_options_is_one_all_the_same() {
    let (ok, option) = ("ok refs/heads/a", "option refname refs/heads/x");
    let asked = ["refs/heads/a", "refs/heads/b"];
    let repeated = Err(ReportError::Repeated { name: name("refs/heads/a") });
    for lines in [
        &["unpack ok", ok, ok][..],
        &["unpack ok", ok, ok, option],
        &["unpack ok", ok, option, ok],
        &["unpack ok", ok, option, ok, "ok refs/heads/b"],
        &["unpack ok", ok, option, "ok refs/heads/b", ok, option],
        &["unpack ok", ok, option, "ng refs/heads/a x"],
    ] {
        assert_eq!(read(&asked, true, lines).0, repeated, "{lines:?}");
    }
    for bad in ["option refname x y", "option old-oid 12"] {
        let malformed = ReportError::Malformed { line: Bytes::from(bad) };
        assert_eq!(read(&asked, true, &["unpack ok", ok, bad]).0, Err(malformed));
    }
    let after_ng = ["unpack ok", "ng refs/heads/a x", option];
    assert_eq!(read(&asked, true, &after_ng).0, Err(ReportError::Malformed { line: option.into() }));
}

/// T18: the server's words are kept as they are, and cut.
#[test]
fn push_6_reasons_are_raw_and_bounded() {
    let report = parse(&["refs/heads/a"], &["unpack ok", "ng refs/heads/a \x1b[2Jx"]).unwrap();
    assert_eq!(report.refs[0].result, Err(Bytes::from_static(b"\x1b[2Jx")));
    let long = format!("ng refs/heads/a {}", "y".repeat(60_000));
    let report = parse(&["refs/heads/a"], &["unpack ok", &long]).unwrap();
    assert_eq!(report.refs[0].result.clone().unwrap_err().len(), portline::limits::ERROR_MESSAGE);
}
