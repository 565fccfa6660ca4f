//! The fetch client against the real `git upload-pack` in versions 0, 1 and 2, over pipes and one request at a time:
//! clones, negotiation, shallow and partial histories. Without `git` on the path nothing is tested.

use std::fs;
use std::path::Path;

use crate::real_fetch::{
    By, border, branch, count, has_git, id, move_border, pair, run_git, session, store, talk,
};
use crate::scratch::scratch;
use portline::Instant;
use portline::git::fetch::client::{Action, Config, Error, Listing, ObjectInfo, Outcome};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::{Advertisement, Deepen, Depth, Filter, ObjectId, RefName, SessionError, Version};

/// Version 1 is version 0 with a line in front: the first test shows it.
const ALL: [(Version, By); 5] = [
    (Version::V1, By::Pipe),
    (Version::V0, By::Pipe),
    (Version::V2, By::Pipe),
    (Version::V0, By::Requests),
    (Version::V2, By::Requests),
];
const WAYS: [(Version, By); 4] = [ALL[1], ALL[2], ALL[3], ALL[4]];

fn deepen(to: Depth) -> Config {
    Config { deepen: Deepen { to, not: Vec::new() }, ..Config::default() }
}

fn empty(root: &Path, name: &str, format: &str) -> std::path::PathBuf {
    let format = format!("--object-format={format}");
    run_git(root, &["init", "-q", "--bare", "-b", "main", &format, name], b"");
    root.join(name)
}

/// V2C-1, V2C-4, V2C-8, V2C-13, FETCH-2: in every version and both ways the same objects arrive, with one write a turn.
#[test]
fn v2c_8_a_clone_and_a_fetch_in_every_version() {
    if !has_git() {
        return;
    }
    for format in ["sha256", "sha1"] {
        let root = scratch();
        let (server, client) = (root.path().join("server"), root.path().join("client"));
        pair(root.path(), format, 80, 20, 30);
        let best = count(&server, &format!("{}..main", id(&client, "main")));
        // The other object format makes no difference to the ways.
        let ways = if format == "sha1" { &ALL[..] } else { &ALL[2..3] };
        for (n, (version, by)) in ways.iter().copied().enumerate() {
            let way = format!("{format} {version:?} {by:?}");
            let copy = empty(root.path(), &format!("copy{n}"), format);
            let cloned = session(&server, &copy, &branch("main"), Config::default(), version, by);
            assert_eq!(cloned.seen.as_ref().unwrap().version, version, "{way}");
            assert!(cloned.outcome().pack && cloned.outcome().rounds == 0, "{way}");
            store(&copy, &cloned.pack, "refs/heads/main", &id(&server, "main"));
            run_git(&copy, &["fsck", "--strict"], b"");

            let fetched = session(&server, &client, &branch("main"), Config::default(), version, by);
            let outcome = fetched.outcome();
            assert!(outcome.rounds == 1 && outcome.haves <= 40, "{way}: {outcome:?}");
            assert_eq!(fetched.objects(), best, "{way}");
            // The listing, the wants with the haves; in version 0 over pipes `done`, for the server does not offer `no-done`.
            let most = 2;
            assert!(fetched.writes.len() <= most, "{way}: {:?}", fetched.writes);

            let again = session(&server, &copy, &branch("main"), Config::default(), version, by);
            assert_eq!((again.objects(), again.outcome()), (0, &Outcome::default()), "{way}");
        }
    }
}

/// V2C-14: every state of a negotiation of many rounds is in every request.
#[test]
fn v2c_14_a_long_negotiation_repeats_what_is_common() {
    if !has_git() {
        return;
    }
    let root = scratch();
    let (server, client) = (root.path().join("server"), root.path().join("client"));
    pair(root.path(), "sha1", 40, 10, 150);
    let best = count(&server, &format!("{}..main", id(&client, "main")));
    for (version, by) in WAYS {
        for (algorithm, no_done) in [(Algorithm::Consecutive, true), (Algorithm::Skipping, false)] {
            let config = Config { algorithm, no_done, ..Config::default() };
            // Nothing is common by the refs: the server has moved on.
            let listing = Listing::Prefixes(vec!["refs/heads/main".into()]);
            let config = Config { listing, ..config };
            let fetched = session(&server, &client, &branch("main"), config, version, by);
            let way = format!("{version:?} {by:?} {algorithm:?}: {:?}", fetched.outcome());
            assert_eq!(fetched.objects(), best, "{way}");
            let rounds = fetched.outcome().rounds;
            assert!(if algorithm == Algorithm::Consecutive { rounds > 3 } else { rounds <= 3 }, "{way}");
        }
    }
}

/// SHALLOWC-1, SHALLOWC-2, SHALLOWC-4, SHALLOWC-5, V2C-12: a shallow clone, deepened, made whole.
#[test]
fn shallowc_4_a_history_is_cut_deepened_and_made_whole() {
    if !has_git() {
        return;
    }
    let root = scratch();
    pair(root.path(), "sha1", 20, 1, 1);
    let server = root.path().join("server");
    let tip = id(&server, "main");
    for (n, (version, by)) in WAYS.into_iter().enumerate() {
        let copy = empty(root.path(), &format!("copy{n}"), "sha1");
        let step = |config: Config, commits: &str| {
            let fetched = session(&server, &copy, &branch("main"), config.clone(), version, by);
            let way = format!("{version:?} {by:?} {:?}", config.deepen);
            assert!(fetched.outcome().pack, "{way}");
            let moves: Vec<_> = fetched.told.iter().collect();
            let [Action::Shallow(update)] = moves[..] else { panic!("{way}: {moves:?}") };
            move_border(&copy, update);
            store(&copy, &fetched.pack, "refs/heads/main", &tip);
            run_git(&copy, &["fsck"], b"");
            assert_eq!(run_git(&copy, &["rev-list", "--count", "main"], b""), commits, "{way}");
            fetched
        };
        step(deepen(Depth::Commits(3)), "3");
        assert_eq!(border(&copy), [id(&server, "main~2")]);
        step(deepen(Depth::Further(2)), "5");
        let since = Depth::Since(1_700_000_000 + 10 * 12);
        step(deepen(since), "9");
        let not = Deepen { to: Depth::Full, not: vec!["refs/tags/old".into()] };
        run_git(&server, &["tag", "-f", "old", "main~12"], b"");
        step(Config { deepen: not, ..Config::default() }, "12");
        // Up to date, the border stays: nothing is told.
        let same = session(&server, &copy, &branch("main"), Config::default(), version, by);
        assert_eq!((same.told.len(), same.outcome().pack), (0, false));
        step(deepen(Depth::Commits(Depth::INFINITE)), "21");
        assert!(!copy.join("shallow").exists());
    }
}

/// SHALLOWC-3: a shallow client negotiates with what it has.
#[test]
fn shallowc_3_a_shallow_client_fetches_on() {
    if !has_git() {
        return;
    }
    for (version, by) in WAYS {
        let root = scratch();
        pair(root.path(), "sha1", 20, 1, 1);
        let server = root.path().join("server");
        let copy = empty(root.path(), "copy", "sha1");
        let fetched = session(&server, &copy, &branch("main"), deepen(Depth::Commits(2)), version, by);
        let [Action::Shallow(update)] = &fetched.told[..] else { panic!("{:?}", fetched.told) };
        move_border(&copy, update);
        store(&copy, &fetched.pack, "refs/heads/main", &id(&server, "main"));
        let old = id(&server, "main");
        let more = crate::real_fetch::commits("main", Some("refs/heads/main^0"), 30, 5);
        run_git(&server, &["fast-import", "--quiet"], more.as_bytes());
        let fetched = session(&server, &copy, &branch("main"), Config::default(), version, by);
        assert_eq!(fetched.objects(), count(&server, &format!("{old}..main")), "{version:?} {by:?}");
        assert!(fetched.told.is_empty(), "{:?}", fetched.told);
        store(&copy, &fetched.pack, "refs/heads/main", &id(&server, "main"));
        run_git(&copy, &["fsck"], b"");
        assert_eq!(run_git(&copy, &["rev-list", "--count", "main"], b""), "7");
    }
}

/// SHALLOWC-6: the server's own border is told, once.
#[test]
fn shallowc_6_a_shallow_server_tells_where_its_history_ends() {
    if !has_git() {
        return;
    }
    let root = scratch();
    pair(root.path(), "sha1", 20, 1, 1);
    let whole = root.path().join("server");
    let server = root.path().join("shallow-server");
    let from = format!("file://{}", whole.display());
    run_git(root.path(), &["clone", "-q", "--bare", "--depth=4", &from, "shallow-server"], b"");
    for (n, (version, by)) in WAYS.into_iter().enumerate() {
        let copy = empty(root.path(), &format!("copy{n}"), "sha1");
        let fetched = session(&server, &copy, &branch("main"), Config::default(), version, by);
        let ends = border(&server);
        assert_eq!(fetched.told, [Action::RemoteShallow(ends.clone())], "{version:?} {by:?}");
        fs::write(copy.join("shallow"), format!("{}\n", ends[0])).unwrap();
        store(&copy, &fetched.pack, "refs/heads/main", &id(&whole, "main"));
        run_git(&copy, &["fsck"], b"");
        // Asked for a depth, it answers with a border that counts its own.
        let deeper = session(&server, &copy, &branch("main"), deepen(Depth::Commits(2)), version, by);
        let [Action::Shallow(update)] = &deeper.told[..] else { panic!("{:?}", deeper.told) };
        assert_eq!(update.shallow, [id(&whole, "main~1")]);
    }
}

/// V2C-9, V2C-10: what a filter leaves out is fetched by id later on, without negotiation.
#[test]
fn v2c_9_a_partial_clone_and_what_it_needs_later() {
    if !has_git() {
        return;
    }
    let root = scratch();
    pair(root.path(), "sha1", 20, 1, 1);
    let server = root.path().join("server");
    let all = count(&server, "main");
    let blob = id(&server, "main:d1/f1");
    for allowed in [false, true] {
        run_git(&server, &["config", "uploadpack.allowFilter", &allowed.to_string()], b"");
        run_git(&server, &["config", "uploadpack.allowAnySHA1InWant", &allowed.to_string()], b"");
        for (n, (version, by)) in WAYS.into_iter().enumerate() {
            let way = format!("{allowed} {version:?} {by:?}");
            let copy = empty(root.path(), &format!("copy{allowed}{n}"), "sha1");
            let config = Config { filter: Some(Filter::BlobNone), ..Config::default() };
            let fetched = session(&server, &copy, &branch("main"), config, version, by);
            assert_eq!(fetched.outcome().filtered, allowed, "{way}");
            assert_eq!(fetched.objects(), if allowed { all - 21 } else { all }, "{way}");
            if !allowed {
                continue;
            }
            let config = Config { algorithm: Algorithm::Noop, listing: Listing::None, ..Config::default() };
            let lazy = session(&server, &copy, &|_| vec![blob], config, version, by);
            assert_eq!((lazy.objects(), lazy.outcome().haves), (1, 0), "{way}");
            // In version 2 the refs are not even listed.
            assert_eq!(lazy.writes.len(), 1, "{way}");
            assert_eq!(lazy.seen.unwrap().refs.is_empty(), version == Version::V2, "{way}");
        }
    }
}

/// V2C-5: the branch that `HEAD` stands for is told before it is born; in version 0 it is not.
#[test]
fn v2c_5_an_empty_repository_tells_its_unborn_branch() {
    if !has_git() {
        return;
    }
    let root = scratch();
    let server = empty(root.path(), "server", "sha256");
    let copy = empty(root.path(), "copy", "sha256");
    for (version, by) in WAYS {
        let fetched =
            session(&server, &copy, &|_: &Advertisement| Vec::new(), Config::default(), version, by);
        let unborn = fetched.seen.unwrap().unborn.map(|name| name.to_string());
        assert_eq!(unborn.is_some_and(|name| name == "refs/heads/main"), version == Version::V2);
        assert_eq!(*fetched.end.unwrap().as_ref().unwrap(), Outcome::default());
    }
}

/// V2C-7: what the server does not offer and the fetch cannot do without is refused before anything is asked.
#[test]
fn v2c_7_the_servers_refusal_and_ours() {
    if !has_git() {
        return;
    }
    let root = scratch();
    pair(root.path(), "sha1", 3, 1, 1);
    let (server, copy) = (root.path().join("server"), empty(root.path(), "copy", "sha1"));
    let unknown = ObjectId::from_raw(&[0x11; 20]).unwrap();
    for by in [By::Pipe, By::Requests] {
        let fetched = session(&server, &copy, &|_| vec![unknown], Config::default(), Version::V2, by);
        let message = format!("upload-pack: not our ref {unknown}").into();
        let error = Error::Session(SessionError::Remote { message });
        assert_eq!(fetched.end, Some(Err(error)));
        let options = Config { server_options: vec!["a=b".into()], ..Config::default() };
        let fetched = session(&server, &copy, &branch("main"), options.clone(), Version::V2, by);
        assert!(fetched.outcome().pack);
    }
}

/// V2C-16: everything that the server has to say may come in the sideband.
#[test]
fn v2c_16_the_whole_answer_in_a_sideband() {
    if !has_git() {
        return;
    }
    let root = scratch();
    pair(root.path(), "sha1", 100, 5, 30);
    let (server, client) = (root.path().join("server"), root.path().join("client"));
    run_git(&server, &["config", "uploadpack.allowSidebandAll", "true"], b"");
    for by in [By::Pipe, By::Requests] {
        let fetched = session(&server, &client, &branch("main"), Config::default(), Version::V2, by);
        assert!(fetched.seen.as_ref().unwrap().capabilities.has_feature("fetch", "sideband-all"));
        assert!(fetched.writes.iter().any(|sent| String::from_utf8_lossy(sent).contains("sideband-all")));
        assert_eq!(fetched.objects(), count(&server, &format!("{}..main", id(&client, "main"))));
        let plain = Config { sideband_all: false, ..Config::default() };
        let other = session(&server, &client, &branch("main"), plain, Version::V2, by);
        assert_eq!(other.objects(), fetched.objects());
    }
}

/// V2C-17, V2C-18, V2C-19, V2C-12: what is only asked on request, and refs by name together with a depth, where Git's
/// server has an order of its own that its own client does not take.
#[test]
fn v2c_17_18_19_questions_on_request_and_refs_by_name() {
    if !has_git() {
        return;
    }
    let root = scratch();
    pair(root.path(), "sha1", 5, 1, 1);
    let server = root.path().join("server");
    for (key, value) in [
        ("transfer.advertiseObjectInfo", "true"),
        ("uploadpack.advertiseBundleURIs", "true"),
        ("uploadpack.allowRefInWant", "true"),
        ("bundle.version", "1"),
        ("bundle.one.uri", "https://example.org/one.bundle"),
    ] {
        run_git(&server, &["config", key, value], b"");
    }
    let (blob, unknown) = (id(&server, "main:d1/f1"), ObjectId::from_raw(&[0x11; 20]).unwrap());
    let name = RefName::new("refs/heads/main").unwrap();
    let (mut told, mut pack) = (Vec::new(), Vec::new());
    talk(&server, deepen(Depth::Commits(1)), |client, action| match action {
        Action::Advertised(_) => client.object_info(Instant::ZERO, &[blob, unknown]).unwrap(),
        Action::ObjectInfo(info) => {
            assert_eq!(
                info,
                [ObjectInfo { id: blob, size: Some(7) }, ObjectInfo { id: unknown, size: None }]
            );
            client.bundle_uri(Instant::ZERO).unwrap();
        }
        Action::Bundles(lines) => {
            let text: Vec<_> = lines.iter().map(|line| (&line.key[..], &line.value[..])).collect();
            assert!(text.contains(&(b"bundle.one.uri", b"https://example.org/one.bundle")), "{text:?}");
            client.want_refs(Instant::ZERO, vec![name.clone()], vec![], vec![]).unwrap();
        }
        Action::FindHeld(_) => client.held(Instant::ZERO, vec![]).unwrap(),
        Action::Pack(bytes) => pack.extend_from_slice(&bytes),
        Action::Progress(_) => {}
        other => told.push(other),
    });
    let tip = id(&server, "main");
    assert_eq!(told[0], Action::WantedRefs(vec![(name, tip)]), "in Git's order");
    assert!(matches!(&told[1], Action::Shallow(update) if update.shallow == [tip]), "{told:?}");
    assert!(matches!(&told[2], Action::Finished(outcome) if outcome.wants == 1) && pack.starts_with(b"PACK"));
}
