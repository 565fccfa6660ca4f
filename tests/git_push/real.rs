//! Beside the real git: the same pushes to `git receive-pack` and to our server give the same reports and the same
//! refs; our client pushes into a real `git receive-pack` over pipes; a real `git push` pushes into our server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use crate::push_support::{
    EMPTY_PACK, NULL, demultiplex, git, id, name, pkt, pkts, refs, repository, run_git, try_git,
};
use crate::scratch::scratch;
use bytes::Bytes;
use portline::Instant;
use portline::git::push::server::{Action, Config, Server, Update};
use portline::git::push::{Command, client};
use portline::git::{HiddenRefs, PackRequest, Ref, Request, Service, Version};

const NOW: Instant = Instant::ZERO;

/// A push as a script: configuration of the server, and the client's bytes.
struct Push {
    title: &'static str,
    settings: &'static [(&'static str, &'static str)],
    commands: Vec<u8>,
    pack: Vec<u8>,
    sideband: bool,
}

/// What a pushed-to server came to.
#[derive(Debug, PartialEq)]
struct Result {
    advertisement: String,
    report: String,
    refs: String,
}

fn result(wire: &[u8], push: &Push, dir: &Path) -> Result {
    let at = wire.windows(5).position(|window| window == b"\n0000").unwrap() + 5;
    let (advertisement, mut answer) = (&wire[..at], wire[at..].to_vec());
    if push.sideband {
        let (data, _, rest) = demultiplex(&answer);
        assert!(rest.is_empty(), "{}", push.title);
        answer = data;
    }
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    Result { advertisement: text(advertisement), report: text(&answer), refs: refs(dir) }
}

fn real(push: &Push, dir: &Path) -> Result {
    let input = [&push.commands[..], &push.pack].concat();
    let (_, wire) = try_git(dir.parent().unwrap(), &["receive-pack", dir.to_str().unwrap()], &input);
    result(&wire, push, dir)
}

/// Our server, with git's plumbing behind it.
fn ours(push: &Push, dir: &Path) -> Result {
    let version = run_git(dir, &["version"], b"").replace("git version ", "git/");
    let mut config = Config { agent: Some(version.into()), ..Config::default() };
    let mut hidden = HiddenRefs::none();
    for (key, value) in push.settings {
        match *key {
            "transfer.hideRefs" => hidden.push(value.as_bytes()),
            "receive.advertisePushOptions" => config.push_options = true,
            "receive.advertiseAtomic" => config.atomic = false,
            _ => {}
        }
    }
    config.view = hidden.into();
    let mut server = Server::new(config, NOW);
    let (mut wire, mut pack) = (vec![], vec![]);
    // The client keeps its direction open until it has the report, as real ones do, unless its pack is cut.
    let mut chunks = push.commands.chunks(50).chain(push.pack.chunks(50));
    loop {
        while let Some(transmit) = server.poll_transmit() {
            wire.extend_from_slice(&transmit.into_bytes());
        }
        match server.poll_action() {
            Some(Action::ListRefs) => server.refs_listed(NOW, list(dir), vec![]).unwrap(),
            Some(Action::FindPart(_)) => server.part_found(NOW, None).unwrap(),
            Some(Action::ReceivePack(_) | Action::Resumed { .. }) => {}
            Some(Action::Pack(bytes)) => {
                pack.extend_from_slice(&bytes);
                if pack.len() == push.pack.len() {
                    server.pack_stored(NOW, store(dir, &pack)).unwrap();
                }
            }
            Some(Action::PackEnd) => server.pack_stored(NOW, store(dir, &pack)).unwrap(),
            Some(Action::UpdateRefs(update)) => server.refs_updated(NOW, apply(dir, &update)).unwrap(),
            Some(Action::Reported) => server.done(NOW).unwrap(),
            Some(Action::Finished(_)) => break,
            Some(Action::Failed(error)) => panic!("{}: {error}", push.title),
            None => match chunks.next() {
                Some(chunk) => server.handle_bytes(NOW, Bytes::copy_from_slice(chunk)).unwrap(),
                None => server.handle_closed(NOW).unwrap(),
            },
        }
    }
    while let Some(transmit) = server.poll_transmit() {
        wire.extend_from_slice(&transmit.into_bytes());
    }
    result(&wire, push, dir)
}

fn list(dir: &Path) -> Vec<Ref> {
    let entry = |line: &str| line.split_once(' ').map(|(hex, of)| Ref::new(name(of), id(hex)));
    refs(dir).lines().filter_map(entry).collect()
}

/// The reasons are those of a git that hands small packs to unpack-objects.
fn store(dir: &Path, pack: &[u8]) -> std::result::Result<(), Bytes> {
    if pack.len() < 12 {
        return Err("eof before pack header was fully read".into());
    }
    match try_git(dir, &["index-pack", "--stdin", "--fix-thin"], pack).0 {
        true => Ok(()),
        false => Err("unpack-objects abnormal exit".into()),
    }
}

fn apply(dir: &Path, update: &Update) -> Vec<std::result::Result<(), Bytes>> {
    let connected = |command: &Command| {
        command.new.is_null()
            || try_git(dir, &["rev-list", "--objects", &command.new.to_string(), "--not", "--all"], b"").0
    };
    let line = |command: &Command| format!("update {} {} {}\n", command.name, command.new, command.old);
    if update.atomic {
        let all: String = update.commands.iter().map(line).collect();
        let done = try_git(dir, &["update-ref", "--stdin"], all.as_bytes()).0;
        let result = if done { Ok(()) } else { Err("atomic transaction failed".into()) };
        return vec![result; update.commands.len()];
    }
    let one = |command: &Command| match connected(command) {
        false => Err("missing necessary objects".into()),
        true if try_git(dir, &["update-ref", "--stdin"], line(command).as_bytes()).0 => Ok(()),
        true => Err("failed to update ref".into()),
    };
    update.commands.iter().map(one).collect()
}

/// A new commit on top of `parent`, known to no repository of the test, and the thin pack that brings it.
fn news(dir: &Path, parent: &str) -> (String, Vec<u8>) {
    let tree = run_git(dir, &["write-tree"], b"");
    let commit = run_git(dir, &["commit-tree", &tree, "-p", parent, "-m", "news"], b"");
    let revs = format!("{commit}\n^{parent}\n");
    let args = ["pack-objects", "--revs", "--stdout", "--thin", "-q"];
    (commit, try_git(dir, &args, revs.as_bytes()).1)
}

const BAND: &str = "report-status side-band-64k object-format=sha1 agent=test";

fn pushes(first: &str, second: &str, news: &str, pack: &[u8]) -> Vec<Push> {
    let zero = NULL;
    let push = |title, caps: &str, commands: &[String], pack: &[u8]| {
        let mut bytes = pkt(format!("{}\0{caps}", commands[0]));
        commands[1..].iter().for_each(|line| bytes.extend(pkt(line)));
        bytes.extend(b"0000");
        Push { title, settings: &[], commands: bytes, pack: pack.to_vec(), sideband: caps.contains("band") }
    };
    let create = |of: &str, new: &str| format!("{zero} {new} {of}");
    let mut cut = pack.to_vec();
    *cut.last_mut().unwrap() ^= 1;
    let new = create("refs/heads/new", news);
    let bad = create("refs/heads/bad", &"2".repeat(40));
    let stale = format!("{second} {first} refs/heads/side");
    let delete = format!("{first} {zero} refs/heads/side");
    let empty = EMPTY_PACK;
    let mut all = vec![
        push("create", BAND, &[new.clone()], pack),
        push("create, no sideband", "report-status", &[new.clone()], pack),
        push("create, v2", "report-status-v2", &[new.clone()], pack),
        push("no report", "side-band-64k", &[new.clone()], pack),
        push("update", BAND, &[format!("{first} {second} refs/heads/side")], empty),
        push("nothing new", BAND, &[format!("{first} {first} refs/heads/side")], empty),
        push("delete", BAND, &[delete.clone()], b""),
        push("delete one level", BAND, &[format!("{first} {zero} refs/one")], b""),
        push("stale update", BAND, &[stale.clone()], empty),
        push("stale delete", BAND, &[format!("{second} {zero} refs/heads/side")], b""),
        push("create what is there", "report-status", &[create("refs/heads/side", second)], empty),
        push("missing object", BAND, &[bad, create("refs/heads/a", second)], empty),
        push("bad pack", BAND, &[new.clone(), delete.clone()], &cut),
        push("cut pack", "report-status", &[new.clone()], &pack[..7]),
        push("atomic", &format!("{BAND} atomic"), &[new.clone(), delete.clone()], pack),
        push("atomic, stale", &format!("{BAND} atomic"), &[new.clone(), stale], pack),
        push("atomic, funny", "report-status atomic", &[new.clone(), create("refs/heads/a..b", first)], pack),
        push(
            "funny names",
            "report-status",
            &[create("HEAD", first), create("refs/one", first), create("refs/heads/x y", first), new.clone()],
            pack,
        ),
        push(
            "no LF, upper case",
            "report-status",
            &[new.to_uppercase().replace("REFS/HEADS", "refs/heads")],
            pack,
        ),
    ];
    all.extend(with_settings(push, &new, &delete, first, pack));
    all
}

/// Pushes to repositories that are configured to show or offer something else.
fn with_settings(
    push: impl Fn(&'static str, &str, &[String], &[u8]) -> Push,
    new: &str,
    delete: &str,
    first: &str,
    pack: &[u8],
) -> [Push; 4] {
    let (create, empty) = (|of: &str, new: &str| format!("{NULL} {new} {of}"), EMPTY_PACK);
    let mut hidden =
        push("hidden", BAND, &[create("refs/hid/a", first), create("refs/heads/a", first)], empty);
    hidden.settings = &[("transfer.hideRefs", "refs/hid"), ("transfer.hideRefs", "refs/heads/next")];
    let mut options = push("push options", &format!("{BAND} push-options"), &[new.to_owned()], b"");
    options.settings = &[("receive.advertisePushOptions", "true")];
    options.commands.extend(pkts(&["ci.skip\n", "a=b", ""]));
    options.pack = pack.to_vec();
    let mut one_by_one = push(
        "atomic not offered",
        "report-status atomic",
        &[delete.to_owned(), create("refs/x", first)],
        b"",
    );
    one_by_one.settings = &[("receive.advertiseAtomic", "false")];
    one_by_one.pack = empty.to_vec();
    let none =
        Push { title: "flush only", settings: &[], commands: pkts(&[""]), pack: vec![], sideband: false };
    [hidden, options, one_by_one, none]
}

/// PUSH-8 to PUSH-15 and PUSH-20 (T22): the advertisement, the report and the refs are the same, byte for byte.
#[test]
fn push_15_the_same_pushes_give_the_same_reports_as_the_real_git() {
    let source = scratch();
    let (first, second) = repository(source.path(), "source");
    let (commit, pack) = news(&source.path().join("source"), &second);
    for push in pushes(&first, &second, &commit, &pack) {
        let dir = scratch();
        for side in ["real", "ours"] {
            repository(dir.path(), side);
            run_git(&dir.path().join(side), &["update-ref", "refs/one", &first], b"");
            for (key, value) in push.settings {
                run_git(&dir.path().join(side), &["config", "--add", key, value], b"");
            }
        }
        let (real, ours) = (real(&push, &dir.path().join("real")), ours(&push, &dir.path().join("ours")));
        assert_eq!(real, ours, "{}", push.title);
    }
}

/// PUSH-8: alternates and version 1.
#[test]
fn push_8_the_advertisement_is_the_real_gits_with_alternates_and_in_version_1() {
    let dir = scratch();
    let (_, second) = repository(dir.path(), "alternate");
    let (alternate, target) = (dir.path().join("alternate"), dir.path().join("target"));
    let (commit, _) = news(&alternate, &second);
    run_git(&alternate, &["update-ref", "refs/heads/zzz", &commit], b"");
    run_git(&alternate, &["update-ref", "refs/heads/again", &commit], b"");
    for empty in [true, false] {
        run_git(dir.path(), &["init", "-q", "--bare", "target"], b"");
        let path = alternate.join("objects");
        std::fs::write(target.join("objects/info/alternates"), path.to_str().unwrap()).unwrap();
        if !empty {
            run_git(&target, &["update-ref", "refs/heads/main", &second], b"");
        }
        let mut child = git(dir.path())
            .args(["receive-pack", "target"])
            .env("GIT_PROTOCOL", "version=1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"0000").unwrap();
        let real = child.wait_with_output().unwrap().stdout;
        let agent = run_git(dir.path(), &["version"], b"").replace("git version ", "git/").into();
        let config = Config { agent: Some(agent), version: Version::V1, ..Config::default() };
        let mut server = Server::new(config, NOW);
        let haves = list(&alternate).into_iter().map(|entry| entry.id).collect();
        server.refs_listed(NOW, list(&target), haves).unwrap();
        let ours = server.poll_transmit().unwrap().into_bytes();
        assert_eq!(ours.escape_ascii().to_string(), real.escape_ascii().to_string());
    }
}

/// Pushes with our client into a real `git receive-pack`; its terminal action and the progress it was shown.
fn push_into(dir: &Path, source: &Path, config: client::Config, commands: &[Command]) -> client::Action {
    let mut child = git(dir.parent().unwrap())
        .args(["receive-pack", dir.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut client = client::Client::new(config, NOW);
    let mut buffer = [0; 37];
    let end = loop {
        while let Some(transmit) = client.poll_transmit() {
            input.write_all(&transmit.into_bytes()).unwrap();
        }
        match client.poll_action() {
            Some(client::Action::Advertised(_)) => client.push(NOW, commands.to_vec()).unwrap(),
            Some(client::Action::BuildPack(request)) => {
                for chunk in build(source, &request).chunks(100) {
                    client.pack_chunk(NOW, Bytes::copy_from_slice(chunk)).unwrap();
                }
                client.pack_finished(NOW).unwrap();
            }
            Some(client::Action::Progress(_) | client::Action::Sign(_)) => {}
            Some(end @ (client::Action::Finished(_) | client::Action::Failed(_))) => break end,
            None => match output.read(&mut buffer).unwrap() {
                0 => client.handle_closed(NOW).unwrap(),
                count => client.handle_bytes(NOW, Bytes::copy_from_slice(&buffer[..count])).unwrap(),
            },
        }
    };
    // The session ended by the protocol, with both pipes open.
    drop(input);
    assert!(child.wait().unwrap().success());
    end
}

fn build(dir: &Path, request: &PackRequest) -> Vec<u8> {
    let mut args = vec!["pack-objects", "--revs", "--stdout", "-q"];
    args.extend(request.thin.then_some("--thin"));
    args.extend(request.ofs_delta.then_some("--delta-base-offset"));
    let mut revs: String = request.wants.iter().map(|id| format!("{id}\n")).collect();
    revs.push_str("--not\n");
    for have in &request.haves {
        if try_git(dir, &["cat-file", "-e", &have.to_string()], b"").0 {
            revs.push_str(&format!("{have}\n"));
        }
    }
    let (success, pack) = try_git(dir, &args, revs.as_bytes());
    assert!(success);
    pack
}

/// PUSH-4, PUSH-5, PUSH-6, PUSH-17.
#[test]
fn push_6_a_real_git_takes_our_pushes_and_is_believed() {
    let dir = scratch();
    let (first, second) = repository(dir.path(), "source");
    let source = dir.path().join("source");
    let (commit, _) = news(&source, &second);
    let (first, second, commit) = (id(&first), id(&second), id(&commit));
    for sideband in [true, false] {
        for atomic in [true, false] {
            let target = dir.path().join(format!("target-{sideband}-{atomic}"));
            repository(dir.path(), target.file_name().unwrap().to_str().unwrap());
            run_git(&target, &["config", "receive.advertisePushOptions", "true"], b"");
            let config = client::Config {
                sideband,
                atomic,
                push_options: vec!["ci.skip".into()],
                ..client::Config::default()
            };
            let good = [
                Command::create(name("refs/heads/new"), commit),
                Command::update(name("refs/heads/side"), first, second),
                Command::delete(name("refs/heads/next"), second),
            ];
            let client::Action::Finished(report) = push_into(&target, &source, config.clone(), &good) else {
                panic!("the push failed")
            };
            assert!(report.is_success(), "{report:?}");
            let expected =
                format!("{first} refs/heads/main\n{commit} refs/heads/new\n{second} refs/heads/side");
            assert_eq!(refs(&target), expected);
            // T22: the plan is stale by now.
            let stale = [
                Command::update(name("refs/heads/side"), first, commit),
                Command::create(name("refs/heads/other"), first),
            ];
            let client::Action::Finished(report) = push_into(&target, &source, config.clone(), &stale) else {
                panic!("a refusal is a report")
            };
            assert!(report.unpack.is_ok() && report.refs[0].result.is_err());
            assert_eq!(report.refs[1].result.is_ok(), !atomic);
            let nothing = push_into(&target, &source, config, &[]);
            assert!(matches!(nothing, client::Action::Finished(report) if report.refs.is_empty()));
        }
    }
}

/// Serves one push of a real client, which keeps its direction open until it has the report. Returns its version and
/// its push options.
fn serve(dir: &Path, stream: &mut TcpStream, mut config: Config) -> (Version, Vec<Bytes>) {
    let mut digits = [0; 4];
    stream.read_exact(&mut digits).unwrap();
    let length = usize::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap();
    let mut line = vec![0; length - 4];
    stream.read_exact(&mut line).unwrap();
    let request = Request::parse(&line).unwrap();
    assert_eq!((request.service, &request.path[..]), (Service::ReceivePack, &b"/repo"[..]));
    config.version = request.version;
    let mut server = Server::new(config, NOW);
    let (mut pack, mut options, mut buffer) = (vec![], vec![], vec![0; 4096]);
    loop {
        while let Some(transmit) = server.poll_transmit() {
            stream.write_all(&transmit.into_bytes()).unwrap();
        }
        match server.poll_action() {
            Some(Action::ListRefs) => server.refs_listed(NOW, list(dir), vec![]).unwrap(),
            Some(Action::FindPart(_)) => server.part_found(NOW, None).unwrap(),
            Some(Action::Resumed { .. }) => {}
            Some(Action::ReceivePack(update)) => options = update.push_options,
            Some(Action::Pack(bytes)) => {
                pack.extend_from_slice(&bytes);
                if store(dir, &pack).is_ok() {
                    server.pack_stored(NOW, Ok(())).unwrap();
                }
            }
            Some(Action::PackEnd) => panic!("the pack is incomplete"),
            Some(Action::UpdateRefs(update)) => {
                server.progress(NOW, "from the hook\n".into()).unwrap();
                server.refs_updated(NOW, apply(dir, &update)).unwrap();
            }
            Some(Action::Reported) => server.done(NOW).unwrap(),
            Some(Action::Finished(_)) => break,
            Some(Action::Failed(error)) => panic!("{error}"),
            None => match stream.read(&mut buffer).unwrap() {
                0 => server.handle_closed(NOW).unwrap(),
                count => server.handle_bytes(NOW, Bytes::copy_from_slice(&buffer[..count])).unwrap(),
            },
        }
    }
    while let Some(transmit) = server.poll_transmit() {
        stream.write_all(&transmit.into_bytes()).unwrap();
    }
    (request.version, options)
}

/// A real `git push` to our server; whether it succeeded, and what it said.
fn push_from_git(source: &Path, target: &Path, args: &[&str], refspecs: &[&str]) -> (bool, String, Version) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/repo", listener.local_addr().unwrap());
    let (flags, settings): (Vec<&str>, Vec<&str>) = args.iter().partition(|arg| arg.starts_with('-'));
    let child = git(source)
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(["push", "--porcelain", "--progress"])
        .args(&flags)
        .arg(url)
        .args(refspecs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let view = HiddenRefs::from_iter(["refs/hid"]).into();
    let config = Config { push_options: true, view, ..Config::default() };
    let (version, options) = serve(target, &mut stream, config);
    let wanted: Vec<Bytes> = flags.contains(&"-oci.skip").then(|| "ci.skip".into()).into_iter().collect();
    assert_eq!(options, wanted);
    drop(stream);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap(), version)
}

/// PUSH-8 to PUSH-15, C7.
#[test]
fn push_12_a_real_git_pushes_into_our_server_and_needs_no_half_close() {
    let dir = scratch();
    let (first, second) = repository(dir.path(), "source");
    let source = dir.path().join("source");
    let (commit, _) = news(&source, &second);
    let create = format!("{commit}:refs/heads/new");
    let update = format!("{second}:refs/heads/side");
    let hidden = format!("{commit}:refs/hid/x");
    for (at, args) in
        [&[][..], &["-oci.skip"], &["protocol.version=1"], &["protocol.version=2"]].iter().enumerate()
    {
        let target = dir.path().join(format!("target-{at}"));
        repository(dir.path(), target.file_name().unwrap().to_str().unwrap());
        let atomic = [args, &["--atomic"][..]].concat();
        let (success, said, version) = push_from_git(&source, &target, &atomic, &[&create, &hidden]);
        assert_eq!((success, version == Version::V1), (false, args == &["protocol.version=1"]), "{said}");
        assert!(
            said.contains("(deny updating a hidden ref)") && said.contains("(atomic push failure)"),
            "{said}"
        );
        let (success, said, _) =
            push_from_git(&source, &target, args, &[&create, &update, ":refs/heads/next"]);
        assert!(success && said.contains("remote: from the hook"), "{said}");
        let expected = format!("{first} refs/heads/main\n{commit} refs/heads/new\n{second} refs/heads/side");
        assert_eq!(refs(&target), expected);
        let (success, said, _) = push_from_git(&source, &target, &[], &[&create]);
        assert!(success && said.contains("[up to date]"), "{said}");
    }
}
