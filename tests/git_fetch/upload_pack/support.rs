//! A repository to serve, the real server, and ours with a driver that answers from Git's plumbing.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::scratch::scratch;
use bytes::{Buf, Bytes};
use portline::Instant;
use portline::git::fetch::server::{Action, Config, Server};
use portline::git::{Commit, ObjectId, PackRequest, Ref, RefName, ShallowUpdate};
use tempfile::TempDir;

use super::border::{NOTHING, deepen, load};
pub(crate) use crate::real_git::{git_output as git, git_with, try_git};

pub(crate) const NOW: Instant = Instant::ZERO;
pub(crate) const ABSENT: &str = "1111111111111111111111111111111111111111";

pub(crate) fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).unwrap().trim_end().to_owned()
}

/// The history, from root to tip: main is m1…m12, where m6 merges `side` (s1, s2, off m3); `old` stays at m4;
/// `refs/secret/x` has a commit of its own; many branches share main's commits; v1 is annotated, v2 tags v1.
pub(crate) fn repository() -> TempDir {
    let dir = scratch();
    git(dir.path(), &["init", "-q", "--bare", "-b", "main"], b"");
    let mut script = String::new();
    // Times rise from parent to child: Git cuts its walk by them.
    let mut time = 1_000_000_000;
    let mut commit = |name: &str, mark: u32, from: Option<u32>, merge: Option<u32>| {
        time += 60;
        script += &format!("commit refs/heads/{name}\nmark :{mark}\n");
        script += &format!("committer A <a@x> {time} +0000\ndata 2\nc\n");
        script += &from.map(|from| format!("from :{from}\n")).unwrap_or_default();
        script += &merge.map(|merge| format!("merge :{merge}\n")).unwrap_or_default();
        let body = format!("{mark} {}", "some text to make deltas of\n".repeat(40));
        script += &format!("M 100644 inline file{}\ndata {}\n{body}\n", mark % 3, body.len());
    };
    for mark in 1..=3 {
        commit("main", mark, (mark > 1).then(|| mark - 1), None);
    }
    commit("side", 20, Some(3), None);
    commit("side", 21, Some(20), None);
    for mark in 4..=12 {
        commit("main", mark, Some(mark - 1), (mark == 6).then_some(21));
    }
    commit("lone", 30, None, None);
    commit("gone", 40, Some(12), None);
    commit("hidden", 50, Some(12), None);
    script += "reset refs/secret/x\nfrom :50\n\nreset refs/heads/old\nfrom :4\n\n";
    for branch in 0..20 {
        script += &format!("reset refs/heads/many/{branch:02}\nfrom :{}\n\n", branch % 6 + 1);
    }
    git(dir.path(), &["fast-import", "--quiet"], script.as_bytes());
    for (tag, object) in [("v1", "main~2"), ("v2", "v1")] {
        git(dir.path(), &["tag", "-a", "-m", tag, tag, object], b"");
    }
    git(dir.path(), &["tag", "light", "main~5"], b"");
    git(dir.path(), &["tag", "blob", "main:file1"], b"");
    let gone = id(dir.path(), "refs/heads/gone");
    git(dir.path(), &["config", "test.gone", &gone], b"");
    for branch in ["gone", "hidden"] {
        git(dir.path(), &["update-ref", "-d", &format!("refs/heads/{branch}")], b"");
    }
    dir
}

pub(crate) fn id(dir: &Path, name: &str) -> String {
    match name {
        "absent" => ABSENT.to_owned(),
        "gone" => text(git(dir, &["config", "test.gone"], b"")),
        _ => text(git(dir, &["rev-parse", name], b"")),
    }
}

/// The bytes of a script, one packet a line: `-` is a flush, `|` a delimiter, `{rev}` an id, `\0` a NUL; every line ends with LF
/// but those that end with `\`.
pub(crate) fn client(dir: &Path, script: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(special) = [("-", b"0000"), ("|", b"0001")].iter().find(|(name, _)| *name == line) {
            out.extend_from_slice(special.1);
            continue;
        }
        let mut line = match line.strip_suffix('\\') {
            Some(bare) => bare.to_owned(),
            None => format!("{line}\n"),
        };
        while let Some((before, rest)) = line.split_once('{') {
            let (name, after) = rest.split_once('}').unwrap();
            line = format!("{before}{}{after}", id(dir, name));
        }
        let line = line.replace("\\0", "\0");
        out.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
    }
    out
}

pub(crate) fn upload_pack(dir: &Path, settings: &[&str], input: &[u8]) -> Vec<u8> {
    upload_pack_as(dir, settings, "version=0", &[], input)
}

pub(crate) fn upload_pack_as(
    dir: &Path,
    settings: &[&str],
    protocol: &str,
    options: &[&str],
    input: &[u8],
) -> Vec<u8> {
    let mut args: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
    args.extend(["upload-pack", "--strict"]);
    args.extend(options);
    args.push(".");
    git_with(dir, &[("GIT_PROTOCOL", protocol)], &args, input).1
}

/// A finished session of ours.
pub(crate) struct Session {
    pub(crate) said: Vec<u8>,
    pub(crate) end: Action,
    pub(crate) asked: Vec<Action>,
}

/// Feeds `input` in pieces of `piece` bytes, then the end of input, and answers from the repository.
pub(crate) fn serve(dir: &Path, config: Config, input: &[u8], piece: usize) -> Session {
    let mut server = Server::new(config, NOW);
    let (mut said, mut asked, mut end) = (Vec::new(), Vec::new(), None);
    let mut pieces = input.chunks(piece);
    let mut closed = false;
    loop {
        while let Some(transmit) = server.poll_transmit() {
            said.extend_from_slice(&transmit.into_bytes());
        }
        if let Some(action) = server.poll_action() {
            asked.push(action.clone());
            match action {
                Action::Finished(_) | Action::Failed(_) => {
                    assert!(end.replace(action).is_none(), "two ends");
                }
                question => answer(dir, &mut server, question),
            }
        } else if server.has_ended() {
            while let Some(transmit) = server.poll_transmit() {
                said.extend_from_slice(&transmit.into_bytes());
            }
            assert_eq!(server.poll_action(), None);
            return Session { said, end: end.unwrap(), asked };
        } else if let Some(piece) = pieces.next() {
            let _ = server.handle_bytes(NOW, Bytes::copy_from_slice(piece));
        } else {
            assert!(!closed, "the machine waits for ever");
            closed = true;
            let _ = server.handle_closed(NOW);
        }
    }
}

/// An answer to a question, kept because the repository stays as it is.
#[derive(Clone)]
enum Reply {
    Refs(Vec<Ref>),
    Objects(Vec<ObjectId>),
    Reachable(bool),
    Covered(bool),
    Commits(Vec<Commit>),
    Deepened(ShallowUpdate),
    Nothing,
    Sizes(Vec<(ObjectId, u64)>),
    Heard,
    Pack(Bytes),
}

thread_local! {
    static REPLIES: RefCell<Vec<(PathBuf, Action, Reply)>> = const { RefCell::new(Vec::new()) };
}

/// The repository has changed.
pub(crate) fn forget() {
    REPLIES.take();
}

pub(crate) fn answer(dir: &Path, server: &mut Server, question: Action) {
    let known = |(path, asked, _): &&(PathBuf, Action, Reply)| path == dir && *asked == question;
    let known = REPLIES.with_borrow(|all| all.iter().find(known).map(|(.., reply)| reply.clone()));
    let reply = known.unwrap_or_else(|| {
        let reply = find_answer(dir, &question);
        REPLIES.with_borrow_mut(|all| all.push((dir.to_owned(), question, reply.clone())));
        reply
    });
    match reply {
        Reply::Refs(refs) => server.refs_listed(NOW, refs).unwrap(),
        Reply::Objects(ids) => server.objects_found(NOW, ids).unwrap(),
        Reply::Reachable(all) => server.reachable(NOW, all).unwrap(),
        Reply::Covered(all) => server.covered(NOW, all).unwrap(),
        Reply::Commits(commits) => server.commits(NOW, commits).unwrap(),
        Reply::Deepened(update) => server.deepened(NOW, update).unwrap(),
        Reply::Nothing => server.deepen_failed(NOW, NOTHING.into()).unwrap(),
        Reply::Sizes(sizes) => server.sizes(NOW, sizes).unwrap(),
        Reply::Heard => {}
        Reply::Pack(mut pack) => {
            // Where `pack-objects` was asked for URIs, they come first.
            while !pack.starts_with(b"PACK") {
                let end = pack.iter().position(|byte| *byte == b'\n').unwrap();
                let line = String::from_utf8(pack.split_to(end + 1).to_vec()).unwrap();
                let (id, uri) = line.trim_end().split_once(' ').unwrap();
                server.packfile_uri(NOW, id.parse().unwrap(), uri.to_owned().into()).unwrap();
            }
            while pack.has_remaining() {
                let chunk = pack.split_to(pack.len().min(700));
                server.pack_chunk(NOW, chunk).unwrap();
            }
            server.pack_finished(NOW).unwrap();
        }
    }
}

fn find_answer(dir: &Path, question: &Action) -> Reply {
    match question {
        Action::ListRefs | Action::ListRefsBelow(_) => Reply::Refs(refs(dir)),
        Action::ServerOptions(_) => Reply::Heard,
        Action::LoadCommits(ids) => Reply::Commits(load(dir, ids)),
        Action::Deepen(request) => match deepen(dir, request) {
            Some(update) => Reply::Deepened(update),
            None => Reply::Nothing,
        },
        Action::ObjectSizes(ids) => Reply::Sizes(sizes(dir, ids)),
        Action::FindObjects(ids) => Reply::Objects(existing(dir, ids)),
        Action::CheckReachable { ids, tips } => {
            let reached = lines(dir, &["rev-list", "--objects", "--stdin"], tips);
            let is_reached = |id: &ObjectId| reached.iter().any(|line| line.starts_with(&id.to_string()));
            Reply::Reachable(ids.iter().all(is_reached))
        }
        Action::CheckCovered { wants, common } => Reply::Covered(covered(dir, wants, common)),
        Action::BuildPack(request) => Reply::Pack(Bytes::from(build(dir, request))),
        other => panic!("not a question: {other:?}"),
    }
}

/// As Git counts: the client has the commits among the common objects and their parents, and a walk from a want
/// sees the parents of what is not older than the oldest of those commits.
fn covered(dir: &Path, wants: &[ObjectId], common: &[ObjectId]) -> bool {
    let common: Vec<ObjectId> = common.iter().filter(|id| commits(dir, &[**id]) == [**id]).copied().collect();
    let with_parents = |ids: &[ObjectId]| match ids {
        [] => Vec::new(),
        ids => lines(dir, &["rev-list", "--no-walk", "--parents", "--stdin"], ids),
    };
    let known = with_parents(&common);
    let known: Vec<&str> = known.iter().flat_map(|line| line.split(' ')).collect();
    let times = match &common[..] {
        [] => Vec::new(),
        common => lines(dir, &["log", "--no-walk", "--format=%ct", "--stdin"], common),
    };
    let oldest = times.iter().map(|time| time.parse::<u32>().unwrap()).min().unwrap_or(u32::MAX);
    let walk = format!("--max-age={oldest}");
    commits(dir, wants).iter().all(|want| {
        let mut seen = with_parents(&[*want]);
        seen.extend(lines(dir, &["rev-list", "--parents", &walk, "--stdin"], &[*want]));
        seen.iter().flat_map(|line| line.split(' ')).any(|id| known.contains(&id))
    })
}

pub(crate) fn lines(dir: &Path, args: &[&str], ids: &[ObjectId]) -> Vec<String> {
    let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
    text(git(dir, args, input.as_bytes())).lines().map(str::to_owned).collect()
}

fn sizes(dir: &Path, ids: &[ObjectId]) -> Vec<(ObjectId, u64)> {
    let found = lines(dir, &["cat-file", "--batch-check=%(objectname) %(objectsize)"], ids);
    let pair = |line: &String| {
        let (id, size) = line.split_once(' ')?;
        Some((id.parse().ok()?, size.parse().ok()?))
    };
    found.iter().filter_map(pair).collect()
}

fn existing(dir: &Path, ids: &[ObjectId]) -> Vec<ObjectId> {
    let found = lines(dir, &["cat-file", "--batch-check=%(objectname)"], ids);
    found.iter().filter_map(|line| line.parse().ok()).collect()
}

pub(crate) fn commits(dir: &Path, ids: &[ObjectId]) -> Vec<ObjectId> {
    let peel =
        |id: &ObjectId| try_git(dir, &["rev-parse", "-q", "--verify", &format!("{id}^{{commit}}")], b"");
    ids.iter().map(peel).filter(|(fine, _)| *fine).map(|(_, id)| text(id).parse().unwrap()).collect()
}

pub(crate) fn refs(dir: &Path) -> Vec<Ref> {
    let mut refs = Vec::new();
    let null = "0".repeat(40);
    let id = match try_git(dir, &["rev-parse", "-q", "--verify", "HEAD"], b"") {
        (true, id) => text(id),
        (false, _) => null,
    };
    let mut head = Ref::new(RefName::head(), id.parse().unwrap());
    head.target = RefName::new(text(git(dir, &["symbolic-ref", "HEAD"], b""))).ok();
    refs.push(head);
    let format = "--format=%(objectname) %(refname) %(*objectname) %(symref)";
    for line in text(git(dir, &["for-each-ref", format], b"")).lines() {
        let mut words = line.split(' ');
        let id = words.next().unwrap().parse().unwrap();
        let mut one = Ref::new(RefName::new(words.next().unwrap()).unwrap(), id);
        one.peeled = words.next().and_then(|id| id.parse().ok());
        one.target = words.next().and_then(|name| RefName::new(name).ok());
        refs.push(one);
    }
    refs
}

fn build(dir: &Path, request: &PackRequest) -> Vec<u8> {
    let shallow: Vec<ObjectId> = request.shallow.iter().chain(&request.unshallow).copied().collect();
    let filter = request.filter.as_ref().map(|filter| String::from_utf8(filter.encode()).unwrap());
    let filter = filter.map(|filter| format!("--filter={filter}"));
    let mut args = vec!["pack-objects", "--revs", "--stdout", "-q"];
    args.extend(filter.as_deref());
    let uris =
        request.uri_protocols.iter().map(|name| format!("--uri-protocol={}", String::from_utf8_lossy(name)));
    let uris: Vec<String> = uris.collect();
    args.extend(uris.iter().map(String::as_str));
    if !shallow.is_empty() {
        args.splice(0..0, ["--shallow-file", ""]);
        args.push("--shallow");
    }
    for (flag, on) in [
        ("--thin", request.thin),
        ("--delta-base-offset", request.ofs_delta),
        ("--include-tag", request.include_tag),
    ] {
        args.extend(on.then_some(flag));
    }
    let parents = load(dir, &request.unshallow).into_iter().flat_map(|commit| commit.parents);
    let mut input: String = shallow.iter().map(|id| format!("--shallow {id}\n")).collect();
    input.extend(request.wants.iter().copied().chain(parents).map(|id| format!("{id}\n")));
    input += "--not\n";
    input.extend(request.haves.iter().chain(&request.unshallow).map(|id| format!("{id}\n")));
    git(dir, &args, input.as_bytes())
}

/// What a server said, taken apart: the lines before the pack (a flush is `0000`), the pack, what bands 2 and 3
/// said, and whether a flush closed the sideband.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) lines: Vec<String>,
    pub(crate) pack: Vec<u8>,
    pub(crate) progress: Vec<u8>,
    pub(crate) fatal: Vec<u8>,
    pub(crate) flushed: bool,
    pub(crate) longest: usize,
}

pub(crate) fn take_apart(mut said: &[u8]) -> Said {
    let mut parts = Said::default();
    while !said.is_empty() {
        if said.starts_with(b"PACK") {
            parts.pack = said.to_vec();
            break;
        }
        let length = usize::from_str_radix(std::str::from_utf8(&said[..4]).unwrap(), 16).unwrap();
        let data = &said[4.min(said.len())..length.max(4)];
        said = &said[length.max(4)..];
        let banded = !(parts.pack.is_empty() && parts.progress.is_empty());
        match data.first() {
            None if length == 1 => parts.lines.push("0001".to_owned()),
            None if banded => parts.flushed = true,
            None => parts.lines.push("0000".to_owned()),
            Some(1) if parts.pack.is_empty() && !data[1..].starts_with(b"PACK") => {
                parts.lines.push(normal(&String::from_utf8_lossy(data)));
            }
            Some(band @ 1..=3) => {
                let to = [&mut parts.pack, &mut parts.progress, &mut parts.fatal];
                to.into_iter().nth(usize::from(*band) - 1).unwrap().extend_from_slice(&data[1..]);
                parts.longest = parts.longest.max(length);
            }
            Some(_) => parts.lines.push(normal(&String::from_utf8_lossy(data))),
        }
    }
    // The order of a list of borders is whatever a walk over history makes of it.
    let is_border = |line: &str| line.trim_start_matches('\u{1}').starts_with("shallow ");
    for run in parts.lines.chunk_by_mut(|one, next| is_border(one) && is_border(next)) {
        run.sort();
    }
    if let Some(at) = parts.lines.iter().position(|line| line.ends_with("wanted-refs\n")) {
        let section = parts.lines[at + 1..].split_mut(|line| line == "0001").next();
        section.unwrap_or_default().sort();
    }
    parts
}

/// A line without the capability that differs on purpose, the agent.
pub(crate) fn normal(line: &str) -> String {
    let Some((entry, list)) = line.split_once('\0') else {
        return if line.starts_with("agent=") { "agent\n".to_owned() } else { line.to_owned() };
    };
    let same = list.split(' ').filter(|word| !word.starts_with("agent="));
    format!("{entry}\0{}", same.collect::<Vec<_>>().join(" "))
}

/// Git takes the pack, given the whole repository for bases; the number of objects it announces.
pub(crate) fn check_pack(dir: &Path, pack: &[u8]) -> u32 {
    let scratch = scratch();
    git(scratch.path(), &["init", "-q", "--bare"], b"");
    let alternates = format!("{}\n", dir.join("objects").display());
    std::fs::write(scratch.path().join("objects/info/alternates"), alternates).unwrap();
    git(scratch.path(), &["index-pack", "--stdin", "--fix-thin"], pack);
    u32::from_be_bytes(pack[8..12].try_into().unwrap())
}
