//! What a receive-pack server refuses: by itself, because of its driver, or as a whole (PUSH-11, PUSH-13, PUSH-14, T16).

use crate::push_support::server::{Script, Seen};
use crate::push_support::{EMPTY_PACK, ID, NULL, id, name, pkt};
use bytes::Bytes;
use portline::git::HiddenRefs;
use portline::git::push::Command;
use portline::git::push::server::{Action, Outcome};

/// The report to a push of these commands, with a pack.
fn report(script: &Script, commands: &[&str], caps: &str) -> (Vec<String>, Seen) {
    let mut lines: Vec<String> = commands.iter().map(|line| (*line).to_owned()).collect();
    lines[0] = format!("{}\0report-status {caps}", lines[0]);
    let mut input: Vec<u8> = lines.iter().flat_map(pkt).collect();
    input.extend(b"0000");
    input.extend(EMPTY_PACK);
    let seen = script.run(&[input.into()], true);
    let mut answer = seen.answer();
    let mut report = vec![];
    while answer.len() > 4 {
        let length = usize::from_str_radix(std::str::from_utf8(&answer[..4]).unwrap(), 16).unwrap();
        report.push(String::from_utf8(answer[4..length].to_vec()).unwrap().trim_end().to_owned());
        answer = &answer[length..];
    }
    assert_eq!(answer, b"0000");
    (report, seen)
}

/// T16.
#[test]
fn push_11_names_that_are_none_are_refused_one_by_one() {
    let funny = [
        "HEAD",
        "main",
        "refs/one",
        "refs/heads/../../config",
        "refs/heads/x y",
        "refs/heads/x\x1b",
        "refs/heads/.lock",
    ];
    let mut commands: Vec<String> = funny.iter().map(|name| format!("{NULL} {ID} {name}")).collect();
    commands.push(format!("{NULL} {ID} refs/heads/good"));
    commands.push(format!("{ID} {NULL} refs/one"));
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let (lines, seen) = report(&Script::default(), &commands, "");
    let mut expected = vec!["unpack ok".to_owned()];
    expected.extend(funny.iter().map(|name| format!("ng {name} funny refname")));
    expected.extend(["ok refs/heads/good".to_owned(), "ok refs/one".to_owned()]);
    assert_eq!(lines, expected);
    let asked: Vec<_> = seen.updates()[0].commands.iter().map(|command| command.name.clone()).collect();
    assert_eq!(asked, [name("refs/heads/good"), name("refs/one")]);
}

#[test]
fn push_11_hidden_refs_deletions_and_empty_commands_are_refused() {
    let mut script = Script::default();
    script.config.view = HiddenRefs::from_iter(["refs/hid"]).into();
    let commands = [
        format!("{NULL} {ID} refs/hid/a"),
        format!("{ID} {NULL} refs/hid/b"),
        format!("{NULL} {NULL} refs/heads/main"),
        format!("{NULL} {ID} refs/heads/c"),
    ];
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let expected = [
        "unpack ok",
        "ng refs/hid/a deny updating a hidden ref",
        "ng refs/hid/b deny deleting a hidden ref",
        "ng refs/heads/main both ids are null",
        "ok refs/heads/c",
    ];
    assert_eq!(report(&script, &commands, "").0, expected);
    script.config.delete_refs = false;
    let (lines, seen) =
        report(&script, &[&format!("{ID} {NULL} refs/heads/a"), &format!("{NULL} {ID} refs/hid/a")], "");
    assert_eq!(lines[1], "ng refs/heads/a deletion prohibited");
    // All were refused: the pack is received, and nothing is updated.
    assert!(seen.updates().is_empty());
    assert!(seen.actions.contains(&Action::Pack(Bytes::from_static(EMPTY_PACK))));
}

#[test]
fn push_11_a_ref_that_is_named_twice_is_refused_everywhere() {
    let (a, b) = (format!("{NULL} {ID} refs/heads/a"), format!("{NULL} {ID} refs/heads/b"));
    let twice = "ng refs/heads/a multiple updates for ref 'refs/heads/a' not allowed";
    let (lines, seen) = report(&Script::default(), &[&a, &b, &a, &a], "");
    assert_eq!(lines, ["unpack ok", twice, "ok refs/heads/b", twice, twice]);
    assert_eq!(seen.updates()[0].commands, [Command::create(name("refs/heads/b"), id(ID))]);
}

#[test]
fn push_13_an_atomic_push_is_all_or_nothing() {
    let (a, b) = (format!("{NULL} {ID} refs/heads/a"), format!("{NULL} {ID} refs/heads/b"));
    let (lines, seen) = report(&Script::default(), &[&a, &format!("{NULL} {ID} refs/heads/x..y")], "atomic");
    assert_eq!(
        lines,
        ["unpack ok", "ng refs/heads/a atomic push failure", "ng refs/heads/x..y funny refname"]
    );
    assert!(seen.updates().is_empty());
    let script = Script {
        update: |command| match command.name == name("refs/heads/a") {
            true => Err("stale\ninfo\0".into()),
            false => Ok(()),
        },
        ..Script::default()
    };
    let (lines, seen) = report(&script, &[&a, &b], "atomic");
    assert_eq!(
        lines,
        ["unpack ok", "ng refs/heads/a stale info ", "ng refs/heads/b atomic push failure"]
            .map(str::trim_end)
    );
    assert!(seen.updates()[0].atomic);
    assert!(matches!(seen.end(), Action::Finished(Outcome { updated: 0, commands: 2, .. })));
    // Not offered, or not requested: one by one.
    assert_eq!(report(&script, &[&a, &b], "").0[2], "ok refs/heads/b");
}

#[test]
fn push_14_a_pack_that_cannot_be_stored_fails_every_ref() {
    let script = Script { stored: Err("index-pack abnormal exit".into()), ..Script::default() };
    let commands = [format!("{NULL} {ID} refs/heads/a"), format!("{NULL} {ID} refs/heads/x..y")];
    let (lines, seen) = report(&script, &[&commands[0], &commands[1]], "");
    let expected = [
        "unpack index-pack abnormal exit",
        "ng refs/heads/a unpacker error",
        "ng refs/heads/x..y unpacker error",
    ];
    assert_eq!(lines, expected);
    assert!(matches!(seen.end(), Action::Finished(Outcome { pack: false, updated: 0, .. })));
}
