//! Two processes of the example `port_pipe` carry a file over a pair of pipes.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::common::Rng;
use crate::scratch::scratch;
use crate::support_repo::example;

/// `recv`, and `send` wired to it crosswise.
fn pair(send: &mut Command, recv: &mut Command) -> (Child, Child) {
    let mut recv = recv.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (to, from) = (recv.stdin.take().unwrap(), recv.stdout.take().unwrap());
    let send = send.stdin(from).stdout(to).stderr(Stdio::piped()).spawn().unwrap();
    (send, recv)
}

fn pipe(args: &[&str], file: &Path) -> Command {
    let mut command = Command::new(example("port_pipe"));
    command.args(args).arg(file);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_arrives_as_it_was_with_any_window_and_chunk() {
    let dir = scratch();
    let (original, copy) = (dir.path().join("original"), dir.path().join("copy"));
    for (length, chunk, window) in [
        (0, "65536", "1"),
        (1, "1", "1"),
        (3000, "7", "5"),
        (1_000_000, "65536", "1"),
        (1_000_000, "1000", "300"),
    ] {
        let content = Rng::new(length as u64).bytes(length);
        std::fs::write(&original, &content).unwrap();
        let mut send = pipe(&["send", "--chunk", chunk, "--window", window], &original);
        let (send, recv) = pair(&mut send, &mut pipe(&["recv"], &copy));
        let (sent, received) = (send.wait_with_output().unwrap(), recv.wait_with_output().unwrap());
        assert!(sent.status.success(), "{}", said(&sent));
        assert!(received.status.success(), "{}", said(&received));
        assert!(said(&sent).contains(&format!("sent {length} bytes, done")));
        assert!(std::fs::read(&copy).unwrap() == content, "{length} bytes, chunk {chunk}, window {window}");
    }
}

#[test]
fn a_sender_whose_receiver_is_silent_says_so_and_fails() {
    let dir = scratch();
    let original = dir.path().join("original");
    std::fs::write(&original, b"abc").unwrap();
    let mut silent = Command::new(example("port_pipe"))
        .args(["send", "--ack-timeout", "20"])
        .arg(&original)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Held open, so that the input does not end.
    let input = silent.stdin.take();
    let output = silent.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("ACK timeout for block 0"), "{}", said(&output));
    let end = [&[0, 0, 0, 30, 3, 0, 0, 0, 1][..], b"\"ACK timeout for block 0\""].concat();
    assert!(output.stdout.ends_with(&end), "{:?}", output.stdout);
}

#[test]
fn an_input_that_ends_early_fails_with_what_is_missing() {
    let dir = scratch();
    let copy = dir.path().join("copy");
    let cut = dir.path().join("cut");
    for (input, words) in [(&b""[..], "the port closed"), (&[0, 0, 0, 9, 0, 0], "7 more bytes were expected")]
    {
        std::fs::write(&cut, input).unwrap();
        let output = pipe(&["recv"], &copy).stdin(std::fs::File::open(&cut).unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
}

#[test]
fn a_call_without_a_file_says_why_there_must_be_one() {
    for (args, words) in [
        (&["send"][..], "standard input carries the acknowledgements"),
        (&["recv", "-"], "standard output carries the acknowledgements"),
        (&["recv", "x", "--window", "2"], "--window is the sender's to choose"),
        (&["send", "x", "--chunk", "many"], "--chunk needs a number"),
        (&["send", "x", "--oops"], "there is no option --oops"),
        (&[], "say send or recv"),
    ] {
        let output = Command::new(example("port_pipe")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(words) && said(&output).contains("usage:"), "{}", said(&output));
    }
    for help in [&["--help"][..], &["recv", "-h"]] {
        let output = Command::new(example("port_pipe")).args(help).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.starts_with(b"usage: port_pipe send FILE") && output.stderr.is_empty());
    }
    let output = Command::new(example("port_pipe")).args(["send", "x", "--window", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
