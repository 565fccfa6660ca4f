//! `git_client fetch --also`: real repositories from several servers at once, one of which breaks off within its first
//! share and does not come back.
#![cfg(unix)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Output;
use std::thread;

use crate::support_repo::{Daemon, Sandbox, example, program, run, text};

/// Bytes of each branch's own file, which does not compress.
const FILE: usize = 60_000;

fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(FILE).collect()
}

fn build(sandbox: &Sandbox, name: &str, branches: u64) {
    sandbox.init(name, true);
    let mut stream = Vec::new();
    let mut commit = |branch: &str, from: &str, time: u64, file: &[u8]| {
        let head = format!(
            "commit refs/heads/{branch}\ncommitter a <a@example.org> {time} +0000\ndata 1\nx\n{from}M 100644 inline file\ndata {}\n",
            file.len()
        );
        stream.extend_from_slice(head.as_bytes());
        stream.extend_from_slice(file);
        stream.push(b'\n');
    };
    commit("main", "", 1_700_000_000, b"the beginning");
    for branch in 0..branches {
        let file = noise(branch);
        commit(&format!("b{branch:02}"), "from refs/heads/main\n", 1_700_000_001 + branch, &file);
    }
    sandbox.feed(name, &["fast-import", "--quiet"], &stream);
}

/// A way to the daemon that carries so many bytes towards the client, and is gone then. Its address.
fn breaking(daemon: &Daemon, bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = daemon.connect();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        drop(listener);
        let (mut up, mut down) = (client.try_clone().unwrap(), connect.try_clone().unwrap());
        thread::spawn(move || drop(std::io::copy(&mut up, &mut down)));
        let (mut left, mut buffer, mut server) = (bytes, [0; 4096], connect);
        while left > 0 {
            let count = server.read(&mut buffer).unwrap_or(0).min(left);
            if count == 0 || client.write_all(&buffer[..count]).is_err() {
                break;
            }
            left -= count;
        }
        let end = |stream: &TcpStream| drop(stream.shutdown(Shutdown::Both));
        end(&client);
        end(&server);
    });
    format!("git://{address}")
}

fn client(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let mut client = program(example("git_client"));
    client.args(arguments).current_dir(sandbox.path(""));
    run(client, b"")
}

/// SHARES-2, SHARES-5, SHARES-10.
#[test]
fn shares_5_the_example_fetches_from_three_servers_and_one_breaks_off() {
    let sandbox = Sandbox::new();
    build(&sandbox, "from.git", 24);
    for protocol in ["0", "2"] {
        let (one, two) = (sandbox.daemon(&[]), sandbox.daemon(&[]));
        let broken = breaking(&one, 4000 + FILE / 2) + "/from.git";
        let to = format!("to-{protocol}.git");
        sandbox.init(&to, true);
        let also = [format!("--also={}", one.url("from.git")), format!("--also={}", two.url("from.git"))];
        let protocol = format!("--protocol={protocol}");
        let arguments = ["fetch", &to, &broken, "refs/heads/*:refs/heads/*", &also[0], &also[1], &protocol];
        let said = client(&sandbox, &arguments);
        assert!(said.status.success(), "{}{}", text(&said.stdout), text(&said.stderr));
        assert_eq!(sandbox.refs(&to), sandbox.refs("from.git"));
        sandbox.ok(&to, &["fsck", "--full", "--strict"]);
        let told = text(&said.stdout);
        assert!(told.contains("the peer has disconnected"), "{told}");
        let wants: usize = told
            .lines()
            .filter(|line| line.contains("git://"))
            .map(|line| line.split_whitespace().next().unwrap().parse::<usize>().unwrap())
            .sum();
        assert_eq!(wants, 25, "{told}");
        sandbox.check(&to);
        // Again: everything is there.
        let url = one.url("from.git");
        let again = client(&sandbox, &["fetch", &to, &url, "refs/heads/*:refs/heads/*", &also[1]]);
        assert!(again.status.success(), "{}", text(&again.stderr));
    }
}

/// SHARES-10: what is missing is told, and no ref moves.
#[test]
fn shares_10_the_example_tells_what_is_missing() {
    let sandbox = Sandbox::new();
    build(&sandbox, "from.git", 2);
    sandbox.init("to.git", true);
    let daemon = sandbox.daemon(&[]);
    let (one, two) = (breaking(&daemon, 4000), breaking(&daemon, 4000));
    let (one, two) = (one + "/from.git", format!("--also={two}/from.git"));
    let said = client(&sandbox, &["fetch", "to.git", &one, "refs/heads/b*:refs/heads/b*", &two]);
    assert_eq!(said.status.code(), Some(2));
    let (table, words) = (text(&said.stdout), text(&said.stderr));
    assert!(words.contains("no source is left that has what is missing: 2 missing: "), "{words}");
    assert_eq!(table.matches(", given up").count(), 2, "{table}");
    assert!(table.contains("could not connect: "), "{table}");
    assert_eq!(sandbox.refs("to.git"), "");
    let usage = client(&sandbox, &["push", "to.git", &one, "main", &two]);
    assert!(text(&usage.stderr).contains("only a fetch has several servers"));
}
