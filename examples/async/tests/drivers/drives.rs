//! One program, a file over a credit stream on a mux, driven three ways: with blocking `std` (the crate's own example),
//! tokio and smol. They understand each other crosswise, and fail with a way out.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::common::Rng;
use crate::example_program::example;

const DRIVERS: [&str; 3] = ["drive_threads", "drive_tokio", "drive_smol"];

fn driver(name: &str) -> Command {
    match name {
        "drive_tokio" => Command::new(env!("CARGO_BIN_EXE_drive_tokio")),
        "drive_smol" => Command::new(env!("CARGO_BIN_EXE_drive_smol")),
        _ => Command::new(example(name)),
    }
}

/// A receiver, and where it listens.
fn receiver(name: &str, file: &Path) -> (Child, String) {
    let mut child = driver(name)
        .arg("recv")
        .arg(file)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    (child, address)
}

fn send(name: &str, file: &Path, address: &str) -> Output {
    driver(name).arg("send").arg(file).arg(address).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_file_arrives_as_it_was_whoever_sends_and_whoever_receives() {
    let dir = tempfile::tempdir().unwrap();
    let (original, copy) = (dir.path().join("original"), dir.path().join("copy"));
    for size in [0, 1, (64 << 10) + 1, 3 << 20] {
        let content = Rng::new(size as u64).bytes(size);
        std::fs::write(&original, &content).unwrap();
        for from in DRIVERS {
            for to in DRIVERS {
                let (child, address) = receiver(to, &copy);
                let sent = send(from, &original, &address);
                let received = child.wait_with_output().unwrap();
                let what = format!("{size} bytes from {from} to {to}");
                assert_eq!(sent.status.code(), Some(0), "{what}: {}", said(&sent));
                assert_eq!(received.status.code(), Some(0), "{what}: {}", said(&received));
                assert!(said(&sent).ends_with(&format!("sent {size} bytes, done\n")), "{}", said(&sent));
                assert!(said(&received).ends_with(&format!("received {size} bytes, done\n")), "{what}");
                assert!(std::fs::read(&copy).unwrap() == content, "{what}");
            }
        }
    }
}

/// A sender that is done knows that the file is stored: a receiver that cannot says why, and the sender repeats it.
#[cfg(target_os = "linux")]
#[test]
fn a_receiver_that_cannot_store_the_file_tells_its_sender() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    std::fs::write(&original, Rng::new(7).bytes(3 << 20)).unwrap();
    for (from, to) in DRIVERS.into_iter().zip(["drive_tokio", "drive_smol", "drive_threads"]) {
        let (child, address) = receiver(to, Path::new("/dev/full"));
        let sent = send(from, &original, &address);
        let received = child.wait_with_output().unwrap();
        assert_eq!((sent.status.code(), received.status.code()), (Some(1), Some(1)), "from {from} to {to}");
        let words = "the peer says: the file cannot be read or stored any more. The receiver may lack part";
        assert!(said(&sent).contains(words), "from {from} to {to}: {}", said(&sent));
        assert!(said(&received).contains("No space left on device"), "{}", said(&received));
        assert!(said(&received).contains("\"/dev/full\" is incomplete"), "{}", said(&received));
    }
}

#[test]
fn a_peer_that_is_not_there_goes_or_speaks_another_protocol_ends_it_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let (original, copy) = (dir.path().join("original"), dir.path().join("copy"));
    std::fs::write(&original, Rng::new(8).bytes(100_000)).unwrap();
    // A port that was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for name in DRIVERS {
        let output = send(name, &original, &nobody);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("Start `recv FILE --listen"), "{}", said(&output));

        for (bytes, words) in [
            (&b""[..], "the channel closed before the stream was over"),
            (&[0, 0, 0, 9, 0, 0], "7 more bytes were expected"),
            (b"GET / HTTP/1.1\r\n\r\n", "longer than the limit"),
            (&[0, 0, 0, 5, 0, 0, 0, 0, 1], "it is another program"),
        ] {
            let (child, address) = receiver(name, &copy);
            let mut peer = TcpStream::connect(address).unwrap();
            peer.write_all(bytes).unwrap();
            drop(peer);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            assert!(said(&output).contains(words), "{name}: {}", said(&output));
            assert!(said(&output).contains("is incomplete: receive it again"), "{}", said(&output));
        }

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let child = driver(name).arg("send").arg(&original).arg(address).stderr(Stdio::piped()).spawn();
        drop(listener.accept().unwrap());
        let output = child.unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("send it again"), "{name}: {}", said(&output));
    }
}

#[test]
fn bad_usage_is_answered_with_the_usage() {
    for name in DRIVERS {
        for arguments in [&[][..], &["send", "one"], &["recv", "one"], &["recv", "one", "--listen"]] {
            let output = driver(name).args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
            assert!(said(&output).starts_with(&format!("usage: {name} recv FILE --listen ADDR")));
        }
        let output = driver(name).args(["send", "no such file", "127.0.0.1:1"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("Name a file that you may read"), "{}", said(&output));
    }
}
