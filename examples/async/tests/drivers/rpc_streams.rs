//! The program `rpc_streams`: the sequence diagrams of the protocol frame for frame, its methods over TCP between two
//! processes, and what it says when something is wrong.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rpc_streams"))
}

fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server on a free port; it ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut child = program()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
        // Read on, so that the server never waits for us.
        std::thread::spawn(move || errors.lines().count());
        Self { child, address }
    }

    fn call(&self, args: &[&str]) -> Output {
        run(&[&["call", &self.address], args].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// `C CALL`, `S DATA`, …: who sent each frame of the trace, from one CALL to the RESULT; READY left out.
fn frames(trace: &str) -> Vec<Vec<String>> {
    let mut calls: Vec<Vec<String>> = Vec::new();
    for line in trace.lines() {
        let (sender, rest) = match line.split_once("  ") {
            Some(("client -> server", rest)) => ("C", rest),
            Some(("server -> client", rest)) => ("S", rest),
            _ => continue,
        };
        let rest = rest.trim_start_matches("control").trim_start_matches("stream").trim_start();
        let name = rest.split_whitespace().find(|word| word.parse::<u32>().is_err()).unwrap();
        match name {
            "READY" => continue,
            "CALL" => calls.push(Vec::new()),
            _ => {}
        }
        calls.last_mut().unwrap().push(format!("{sender} {name}"));
    }
    calls
}

/// RPC-16, RPC-17, RPC-18, RPC-19: the four diagrams in their order, and the third direction.
#[test]
fn the_demo_shows_the_sequence_diagrams_frame_for_frame() {
    let output = run(&["--trace"]);
    let trace = text(&output.stdout);
    assert!(output.status.success(), "{trace}{}", text(&output.stderr));
    let calls = frames(&trace);
    assert_eq!(calls.len(), 5, "{trace}");
    let shows = |at: usize, expected: &[&str]| assert_eq!(calls[at], expected, "{trace}");
    // Unidirectional streaming (server → client).
    shows(0, &["C CALL", "S OPEN", "S DATA", "S DATA", "C CREDIT", "S LAST", "S END", "S RESULT"]);
    // Bidirectional streaming.
    shows(
        1,
        &[
            "C CALL", "S OPEN", "C DATA", "S DATA", "C DATA", "S DATA", "S CREDIT", "C CREDIT", "C LAST",
            "S LAST", "S END", "S RESULT",
        ],
    );
    // Error handling in streams.
    shows(2, &["C CALL", "S OPEN", "S DATA", "S DATA", "S ERROR", "S END", "S RESULT"]);
    assert!(trace.contains(r#"ERROR 2 \"Processing failed\""#), "{trace}");
    assert!(trace.contains(r#"RESULT 3 error \"Stream processing failed\""#), "{trace}");
    // Cancellation flow.
    shows(3, &["C CALL", "S OPEN", "S DATA", "S DATA", "C ABORT", "S CANCEL", "S END", "S RESULT"]);
    assert!(trace.contains(r#"RESULT 4 error \"aborted\""#), "{trace}");
    // Client → server: the credit comes back as it is used.
    let upload: Vec<&str> = calls[4].iter().map(String::as_str).filter(|name| *name != "S CREDIT").collect();
    assert_eq!(upload[..2], ["C CALL", "S OPEN"]);
    assert_eq!(upload[upload.len() - 3..], ["C LAST", "C END", "S RESULT"]);
    assert!(upload[2..upload.len() - 3].iter().all(|name| *name == "C DATA"), "{trace}");
    assert!(calls[4].iter().any(|name| name == "S CREDIT"), "{trace}");
}

#[test]
fn the_three_methods_work_between_two_processes() {
    let server = Server::start();
    let numbers = server.call(&["numbers", "5000", "--window", "7"]);
    assert!(numbers.status.success(), "{}", text(&numbers.stderr));
    let expected: String = (1..=5000).map(|number| format!("{number}\n")).collect();
    assert!(text(&numbers.stdout) == expected + "5000 numbers\n");

    let dir = tempfile::tempdir().unwrap();
    for (length, told) in [(0, "0 bytes, FNV-1a cbf29ce484222325"), (3_000_000, "3000000 bytes, FNV-1a ")] {
        let file = dir.path().join(length.to_string());
        std::fs::write(&file, vec![b'x'; length]).unwrap();
        let upload = server.call(&["upload", file.to_str().unwrap()]);
        assert!(upload.status.success(), "{}", text(&upload.stderr));
        assert!(text(&upload.stdout).starts_with(told), "{}", text(&upload.stdout));
    }

    let echo = server.call(&["echo", "one", "two", "three"]);
    assert!(echo.status.success(), "{}", text(&echo.stderr));
    assert_eq!(text(&echo.stdout), "Echo: one\nEcho: two\nEcho: three\n3 echoed\n");
}

#[test]
fn what_goes_wrong_is_said_with_a_way_out() {
    let server = Server::start();
    let says = |output: Output, code: i32, words: &[&str]| {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        words.iter().for_each(|word| assert!(said.contains(word), "{word} in {said}"));
    };
    says(server.call(&["numbers", "9", "--fail-after", "3"]), 1, &["Stream processing failed"]);
    says(server.call(&["numbers", "9", "--cancel-after", "3"]), 1, &["aborted"]);
    says(server.call(&["numbers", "9", "--window", "0"]), 1, &["window is zero"]);
    says(server.call(&["upload", "/no/such/file"]), 1, &["cannot read /no/such/file"]);
    says(server.call(&["dance"]), 2, &["none of numbers, upload and echo", "usage:"]);
    says(run(&["serve", "--listen", &server.address]), 1, &["cannot listen on", "--listen"]);
    let address = server.address.clone();
    drop(server);
    says(run(&["call", &address, "numbers", "1"]), 1, &["cannot reach", "rpc_streams serve --listen"]);
}
