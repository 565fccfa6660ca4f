//! Real git clients against our server, over `git://` on the loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;

use crate::scratch::scratch;
use bytes::Bytes;
use portline::git::fetch::server::{Action, Config, Outcome, Server};
use portline::git::{Request, Version};

use super::support::{NOW, answer, forget, git, id, repository, text};

/// Serves one connection; what it came to.
fn serve_one(listener: &TcpListener, dir: &Path) -> (Version, Action) {
    forget();
    let (mut stream, _) = listener.accept().unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let length = usize::from_str_radix(std::str::from_utf8(&length).unwrap(), 16).unwrap();
    let mut line = vec![0; length - 4];
    stream.read_exact(&mut line).unwrap();
    let version = Request::parse(&line).unwrap().version;
    let mut server = Server::new(Config { version, ..Config::default() }, NOW);
    (version, run(&mut server, &mut stream, dir))
}

fn run(server: &mut Server, stream: &mut TcpStream, dir: &Path) -> Action {
    let mut buffer = vec![0; 1 << 16];
    loop {
        while let Some(transmit) = server.poll_transmit() {
            stream.write_all(&transmit.into_bytes()).unwrap();
        }
        match server.poll_action() {
            Some(end @ (Action::Finished(_) | Action::Failed(_))) => {
                while let Some(transmit) = server.poll_transmit() {
                    stream.write_all(&transmit.into_bytes()).unwrap();
                }
                let _ = stream.shutdown(Shutdown::Write);
                return end;
            }
            Some(question) => answer(dir, server, question),
            None => match stream.read(&mut buffer).unwrap() {
                0 => drop(server.handle_closed(NOW)),
                read => drop(server.handle_bytes(NOW, Bytes::copy_from_slice(&buffer[..read]))),
            },
        }
    }
}

/// FETCH-30 to FETCH-50, as git itself sees them.
#[test]
fn real_git_lists_clones_and_fetches_from_our_server() {
    let repo = repository();
    let (dir, work) = (repo.path().to_owned(), scratch());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/repo", listener.local_addr().unwrap());
    let sessions = [(); 5];
    let server = std::thread::spawn(move || sessions.map(|()| serve_one(&listener, &dir)));

    let listed = text(git(work.path(), &["-c", "protocol.version=0", "ls-remote", &url], b""));
    assert_eq!(listed, text(git(repo.path(), &["ls-remote", "."], b"")));

    git(work.path(), &["-c", "protocol.version=1", "clone", "-q", &url, "clone"], b"");
    let clone = work.path().join("clone");
    git(&clone, &["fsck", "--strict"], b"");
    assert_eq!(id(&clone, "HEAD"), id(repo.path(), "main"));
    assert_eq!(id(&clone, "v2"), id(repo.path(), "v2"));
    // Version 2 is asked for, 0 is answered, and there is nothing to do.
    git(&clone, &["-c", "protocol.version=2", "fetch", "-q"], b"");

    // Both sides go on: the client has commits of its own to offer.
    git(&clone, &["update-ref", "-d", "refs/remotes/origin/lone"], b"");
    for _ in 0..40 {
        git(&clone, &["commit", "-q", "--allow-empty", "-m", "mine"], b"");
    }
    let ahead = text(git(repo.path(), &["commit-tree", "-p", "main", "-m", "theirs", "main^{tree}"], b""));
    git(repo.path(), &["update-ref", "refs/heads/ahead", &ahead], b"");
    git(&clone, &["-c", "protocol.version=0", "fetch", "-q"], b"");
    assert_eq!(id(&clone, "origin/ahead"), ahead);
    git(&clone, &["fsck", "--strict"], b"");

    // An old client: a repository with one branch, not told of any history.
    let single = ["-c", "protocol.version=0", "clone", "-q", "--single-branch", "-b", "old", &url, "single"];
    git(work.path(), &single, b"");

    let ends = server.join().unwrap();
    let versions = ends.each_ref().map(|(version, _)| *version);
    assert_eq!(versions, [Version::V0, Version::V1, Version::V2, Version::V0, Version::V0]);
    let packs = ends.map(|(_, end)| match end {
        Action::Finished(Outcome { pack, rounds, common, .. }) => (pack, rounds > 0, common > 0),
        other => panic!("{other:?}"),
    });
    let (nothing, whole) = ((false, false, false), (true, false, false));
    assert_eq!(packs, [nothing, whole, nothing, (true, true, true), whole]);
}
