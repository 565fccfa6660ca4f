//! A fetch from three real `git upload-pack` programs at once, one of them throttled and one killed half way: everything
//! comes, and the result is whole. Without `git` on the path nothing is tested.
//!
//! The clock is the pump's: each turn is a millisecond, in which so many bytes of each source are handed on. A turn waits
//! for every server that has something to say, so the run does not depend on how fast this machine is.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::real_fetch::{git, has_git, held, history, list, run_git, tips};
use crate::scratch::scratch;
use bytes::Bytes;
use portline::Instant;
use portline::git::ObjectId;
use portline::git::fetch::client::Action as Fetch;
use portline::peer::multi_source::{Action, Config, MultiSourceFetch, Outcome, SourceId};
use portline::recovery::Cause;

/// A server program, and its output in pieces, one for each permit; an empty one is its end.
struct Line {
    child: Child,
    stdin: Option<ChildStdin>,
    permits: Sender<()>,
    pieces: Receiver<Bytes>,
    inbox: Bytes,
    /// It waits for wants and says nothing.
    is_silent: bool,
}

impl Line {
    fn start(repository: &Path) -> Self {
        let mut command = git(repository);
        command.args(["upload-pack", "."]).env("GIT_PROTOCOL", "version=2");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (stdin, mut stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let ((permits, allowed), (sender, pieces)) = (channel(), channel());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while allowed.recv().is_ok() {
                let count = stdout.read(&mut buffer).unwrap_or(0);
                if sender.send(Bytes::copy_from_slice(&buffer[..count])).is_err() || count == 0 {
                    return;
                }
            }
        });
        Self { child, stdin, permits, pieces, inbox: Bytes::new(), is_silent: false }
    }

    fn end(mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

struct Site {
    repository: PathBuf,
    /// Bytes a millisecond.
    rate: usize,
    /// It is killed when so many bytes came of it, and never comes back.
    dies: usize,
    came: usize,
    line: Option<Line>,
    pack: Vec<u8>,
}

struct Pump {
    machine: MultiSourceFetch,
    sources: Vec<SourceId>,
    sites: Vec<Site>,
    dir: PathBuf,
    millis: u64,
    end: Option<Outcome>,
}

impl Pump {
    fn new(dir: &Path, sites: &[(&Path, usize, usize)]) -> Self {
        let mut machine = MultiSourceFetch::new(Config::default(), Instant::ZERO).unwrap();
        let sources = sites.iter().map(|_| machine.add_source(Instant::ZERO, None).unwrap()).collect();
        machine.no_more_sources();
        let sites = sites.iter().map(|(repository, rate, dies)| Site {
            repository: repository.to_path_buf(),
            rate: *rate,
            dies: *dies,
            came: 0,
            line: None,
            pack: Vec::new(),
        });
        Self { machine, sources, sites: sites.collect(), dir: dir.to_owned(), millis: 0, end: None }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.millis)
    }

    fn act(&mut self) {
        let now = self.now();
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Connect { source } => {
                    let site = &mut self.sites[source.index()];
                    site.pack.clear();
                    if site.came < site.dies {
                        site.line = Some(Line::start(&site.repository));
                        self.machine.connected(now, source).unwrap();
                    } else {
                        let reason = Bytes::from_static(b"it is dead");
                        self.machine.connect_failed(now, source, reason).unwrap();
                    }
                }
                Action::Disconnect { source } => {
                    self.write(source);
                    self.sites[source.index()].line.take().unwrap().end();
                }
                Action::Advertised { source, advertisement } => {
                    self.sites[source.index()].line.as_mut().unwrap().is_silent = true;
                    if self.machine.left().is_none() {
                        let wants = advertisement.refs.iter().map(|entry| entry.id).collect();
                        self.machine.want(now, wants, tips(&self.dir)).unwrap();
                    }
                }
                Action::Fetch { source, action } => self.answer(source, action),
                Action::PackEnd { source, wants } => {
                    let pack = std::mem::take(&mut self.sites[source.index()].pack);
                    self.store(&pack, &wants);
                    self.machine.pack_stored(now, source, Ok(())).unwrap();
                }
                Action::Wait { .. } => {}
                Action::Finished(outcome) => assert!(self.end.replace(outcome).is_none()),
                Action::Failed(failure) => panic!("{failure:?}"),
            }
        }
    }

    fn answer(&mut self, source: SourceId, action: Fetch) {
        let now = self.now();
        let site = &mut self.sites[source.index()];
        // The session may have come to its end by the time its last bytes are handed on.
        if let Fetch::Pack(bytes) = &action {
            site.pack.extend_from_slice(bytes);
        }
        let Some(session) = self.machine.session(source) else { return };
        match action {
            Fetch::FindHeld(ids) => {
                site.line.as_mut().unwrap().is_silent = false;
                session.held(now, held(&self.dir, &ids)).unwrap();
            }
            Fetch::LoadCommits(_) => session.commits(now, history(&self.dir)).unwrap(),
            _ => {}
        }
    }

    fn store(&self, pack: &[u8], wants: &[ObjectId]) {
        run_git(&self.dir, &["index-pack", "--fix-thin", "--stdin"], pack);
        run_git(&self.dir, &["rev-list", "--objects", "--quiet", "--stdin"], &list(wants));
        for want in wants {
            run_git(&self.dir, &["update-ref", &format!("refs/got/{want}"), &want.to_string()], b"");
        }
    }

    fn write(&mut self, source: SourceId) {
        while let Some(message) = self.machine.poll_transmit(source) {
            let line = self.sites[source.index()].line.as_mut();
            if let Some(stdin) = line.and_then(|line| line.stdin.as_mut()) {
                // A server that is gone says so on its other pipe.
                let _ = stdin.write_all(&message.into_bytes());
            }
        }
    }

    /// A millisecond of one source. What it asks is answered, and sent, before it can say more.
    fn read(&mut self, source: SourceId) {
        let mut room = self.sites[source.index()].rate;
        while room > 0 && self.machine.wants_input(source) {
            let Some(piece) = self.next_piece(source, room) else { return };
            room -= piece.len();
            self.machine.handle_bytes(self.now(), source, piece);
            self.act();
            self.write(source);
        }
    }

    fn next_piece(&mut self, source: SourceId, room: usize) -> Option<Bytes> {
        let now = self.now();
        let site = &mut self.sites[source.index()];
        let line = site.line.as_mut().filter(|line| !line.is_silent)?;
        if line.inbox.is_empty() {
            let _ = line.permits.send(());
            line.inbox = line.pieces.recv().unwrap_or_default();
        }
        let piece = line.inbox.split_to(room.min(line.inbox.len()));
        site.came += piece.len();
        if site.came >= site.dies {
            line.child.kill().unwrap();
        } else if !piece.is_empty() {
            return Some(piece);
        }
        self.machine.handle_closed(now, source);
        None
    }

    fn run(mut self) -> (Self, Outcome) {
        loop {
            self.act();
            if let Some(outcome) = self.end.take() {
                return (self, outcome);
            }
            for source in self.sources.clone() {
                self.write(source);
                self.read(source);
                self.act();
            }
            self.millis += 1;
            self.machine.handle_timeout(self.now());
            assert!(self.millis < 600_000, "it does not end");
        }
    }
}

/// `count` branches of some kilobytes that do not compress, on top of what they have in common.
fn build(root: &Path, count: usize) {
    run_git(root, &["init", "-q", "--bare", "-b", "main", "from.git"], b"");
    let mut stream = crate::real_fetch::commits("main", None, 0, 60).into_bytes();
    let mut state = 1_u64;
    for branch in 0..count {
        let mut noise = Vec::new();
        for _ in 0..(4000 + branch % 5 * 4000) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            noise.extend_from_slice(&state.to_be_bytes()[..2]);
        }
        let head = format!(
            "commit refs/heads/b{branch:02}\ncommitter a <a@b> {} +0000\ndata 1\nx\nfrom refs/heads/main\n",
            1_700_100_000 + branch
        );
        stream.extend_from_slice(head.as_bytes());
        stream.extend_from_slice(format!("M 100644 inline big\ndata {}\n", noise.len()).as_bytes());
        stream.extend_from_slice(&noise);
        stream.push(b'\n');
    }
    run_git(&root.join("from.git"), &["fast-import", "--quiet"], &stream);
}

/// SHARES-1, SHARES-3, SHARES-4, SHARES-5, SHARES-6.
#[test]
fn shares_5_real_servers_one_slow_one_killed_and_everything_comes() {
    if !has_git() {
        return;
    }
    let root = scratch();
    build(root.path(), 40);
    let from = root.path().join("from.git");
    let fetch = |name: &str, sites: &[(usize, usize)]| {
        run_git(root.path(), &["init", "-q", "--bare", name], b"");
        let dir = root.path().join(name);
        let sites: Vec<_> = sites.iter().map(|(rate, dies)| (from.as_path(), *rate, *dies)).collect();
        let (pump, outcome) = Pump::new(&dir, &sites).run();
        run_git(&dir, &["fsck", "--connectivity-only"], b"");
        run_git(&dir, &["fsck", "--strict"], b"");
        for tip in tips(&from) {
            run_git(&dir, &["rev-parse", "--verify", &format!("refs/got/{tip}^0")], b"");
        }
        let came: usize = pump.sites.iter().map(|site| site.came).sum();
        println!("{name:<28} {:>6} ms, {came:>8} bytes", pump.millis);
        for report in &outcome.sources {
            let causes: Vec<String> = report.attempts.iter().map(|one| one.cause.to_string()).collect();
            println!(
                "    {:>3} wants, {:>8} bytes; failed: {causes:?}",
                report.work.units, report.work.bytes
            );
        }
        (pump.millis, came, outcome)
    };
    let (alone, whole, _) = fetch("one.git", &[(100, usize::MAX)]);
    let three = [(100, usize::MAX), (10, usize::MAX), (100, whole / 4)];
    let (together, came, outcome) = fetch("three.git", &three);
    let killed = &outcome.sources[2];
    assert!(matches!(killed.attempts[0].cause, Cause::Disconnected { .. }), "{killed:?}");
    assert!(killed.work.units > 0 && outcome.sources[1].work.units > 0, "{outcome:?}");
    assert!(together < alone, "{together} of {alone}");
    assert!(came * 100 < whole * 125, "{came} of {whole}");
}
