//! Real repositories through the examples while connections break: what was received is not sent again, and what was
//! whole in a pack that nobody goes on with is kept.
#![cfg(unix)]

use std::fs;
use std::process::Output;

use crate::support_repo::{Sandbox, example, program, run, text};

/// Bytes of each file; there are four, and they do not compress.
const FILE: usize = 300_000;

fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(FILE).collect()
}

/// A repository `name` whose branch `main` has `commits` commits of one file each, none like another.
fn build(sandbox: &Sandbox, name: &str, commits: u64) {
    sandbox.init(name, true);
    let mut stream = Vec::new();
    for number in 0..commits {
        stream.extend_from_slice(b"commit refs/heads/main\ncommitter a <a@example.org> ");
        stream.extend_from_slice(format!("{} +0000\ndata 1\nx\n", 1_700_000_000 + number).as_bytes());
        stream.extend_from_slice(format!("M 100644 inline file{number}\ndata {FILE}\n").as_bytes());
        stream.extend_from_slice(&noise(number));
        stream.extend_from_slice(b"\n\n");
    }
    sandbox.feed(name, &["fast-import", "--quiet"], &stream);
}

/// `git_client` with these arguments; behind `--` the server is `command`, whose `SERVER` is `git_server`.
fn client(sandbox: &Sandbox, arguments: &[&str], command: &str) -> Output {
    let mut client = program(example("git_client"));
    client.args(arguments).args(["--", "sh", "-c", command]);
    client.env("SERVER", example("git_server")).current_dir(sandbox.path(""));
    run(client, b"")
}

fn size(sandbox: &Sandbox, name: &str) -> usize {
    fs::metadata(sandbox.path(name)).unwrap().len() as usize
}

fn kept(sandbox: &Sandbox, repository: &str) -> Vec<usize> {
    let folder = sandbox.path(repository).join("portline/partial");
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| file.metadata().unwrap().len() as usize).collect()
}

/// RESUME-5, RESUME-7: a fetch that broke at 10, 50 and 90 percent goes on from there, in every version.
#[test]
fn resume_5_a_fetch_goes_on_where_it_broke() {
    let sandbox = Sandbox::new();
    build(&sandbox, "from.git", 4);
    let total = 4 * FILE;
    for (version, percent) in [("0", 10), ("0", 90), ("1", 50), ("2", 10), ("2", 50), ("2", 90)] {
        let what = format!("version {version}, {percent} %");
        let _ = fs::remove_dir_all(sandbox.path("to.git"));
        sandbox.init("to.git", true);
        let fetch = ["fetch", "to.git", "--protocol", version];
        let cut = total * percent / 100;
        let broken =
            client(&sandbox, &fetch, &format!("\"$SERVER\" upload-pack from.git | stdbuf -o0 head -c {cut}"));
        assert!(!broken.status.success(), "{what}");
        let held = kept(&sandbox, "to.git");
        assert!(held.len() == 1 && cut - held[0] < 2000, "{what}: {held:?} of {cut}");
        let again = client(&sandbox, &fetch, "\"$SERVER\" upload-pack from.git | stdbuf -o0 tee rest");
        assert!(again.status.success(), "{what}: {}", text(&again.stderr));
        let resent = (held[0] + size(&sandbox, "rest")).saturating_sub(total);
        assert!(resent * 100 < total, "{what}: {resent} bytes were sent again");
        sandbox.ok("to.git", &["fsck", "--full", "--strict"]);
        assert_eq!(kept(&sandbox, "to.git"), [0; 0], "{what}: nothing is left behind");
    }
}

/// RESUME-4: the server's history went on meanwhile, so its pack is another one; and a server that was told not to.
#[test]
fn resume_4_where_the_pack_is_another_one_all_of_it_comes() {
    let sandbox = Sandbox::new();
    build(&sandbox, "from.git", 2);
    let cut = format!("\"$SERVER\" upload-pack from.git | stdbuf -o0 head -c {FILE}");
    for (setting, words) in [("true", "repacked"), ("false", "not offered")] {
        let _ = fs::remove_dir_all(sandbox.path("to.git"));
        sandbox.init("to.git", true);
        assert!(!client(&sandbox, &["fetch", "to.git"], &cut).status.success());
        let part = sandbox.path("to.git").join("portline/partial");
        let file = fs::read_dir(part).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        bytes[100] ^= 1;
        fs::write(&file, bytes).unwrap();
        sandbox.ok("from.git", &["config", "portline.resume", setting]);
        let again =
            client(&sandbox, &["fetch", "to.git"], "\"$SERVER\" upload-pack from.git | stdbuf -o0 tee rest");
        assert!(again.status.success(), "{words}: {}", text(&again.stderr));
        assert!(size(&sandbox, "rest") > 2 * FILE, "{words}");
        sandbox.ok("to.git", &["fsck", "--full", "--strict"]);
    }
}

/// What is whole in a pack that nobody goes on with: a commit with all it reaches is a have, so the next pack is
/// smaller; one with a gap behind it is none.
#[test]
fn resume_7_what_is_whole_in_a_broken_pack_is_not_fetched_again() {
    let sandbox = Sandbox::new();
    build(&sandbox, "from.git", 3);
    sandbox.init("to.git", true);
    // A broken pack as another program left it: the first commit whole, the second without its file.
    let pack = |range: &str| {
        let ids = sandbox.feed("from.git", &["rev-list", "--objects", "--no-object-names", range], b"");
        ids.split(|byte| *byte == b'\n').filter(|id| !id.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let mut objects = pack("main~2");
    objects.extend(pack("main~2..main~1").into_iter().take(2));
    let bytes = sandbox.feed("from.git", &["pack-objects", "--stdout", "-q"], &objects.join(&b'\n'));
    let folder = sandbox.path("to.git").join("portline/partial");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("fetch-0000.pack"), &bytes[..bytes.len() - 1]).unwrap();
    let fetched = client(
        &sandbox,
        &["fetch", "to.git", "--stats"],
        "\"$SERVER\" upload-pack from.git | stdbuf -o0 tee rest",
    );
    assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    let came = size(&sandbox, "rest");
    assert!(came > 2 * FILE && came < 2 * FILE + FILE / 2, "{came} bytes");
    sandbox.ok("to.git", &["fsck", "--full", "--strict"]);
    assert_eq!(kept(&sandbox, "to.git"), [0; 0]);
}

/// RESUME-6: a push that broke goes on from what the server has.
#[test]
fn resume_6_a_push_goes_on_where_it_broke() {
    let sandbox = Sandbox::new();
    build(&sandbox, "from.git", 4);
    let total = 4 * FILE;
    for percent in [10, 90] {
        let _ = fs::remove_dir_all(sandbox.path("to.git"));
        sandbox.init("to.git", true);
        let push = ["push", "from.git", "main:main"];
        let cut = total * percent / 100;
        let broken =
            client(&sandbox, &push, &format!("stdbuf -o0 head -c {cut} | \"$SERVER\" receive-pack to.git"));
        assert!(!broken.status.success(), "{percent}");
        let held = kept(&sandbox, "to.git");
        assert!(held.len() == 1 && cut - held[0] < 2000, "{percent}: {held:?} of {cut}");
        let again = client(&sandbox, &push, "stdbuf -o0 tee rest | \"$SERVER\" receive-pack to.git");
        assert!(again.status.success(), "{percent}: {}", text(&again.stderr));
        let resent = (held[0] + size(&sandbox, "rest")).saturating_sub(total);
        assert!(resent * 100 < total, "{percent}: {resent} bytes were sent again");
        sandbox.ok("to.git", &["fsck", "--full", "--strict"]);
        assert_eq!(kept(&sandbox, "to.git"), [0; 0]);
        assert_eq!(
            sandbox.ok("to.git", &["rev-parse", "main"]),
            sandbox.ok("from.git", &["rev-parse", "main"])
        );
    }
}

/// The sync over a port: the next run goes on with the pack of the one that broke.
#[test]
fn resume_5_a_sync_goes_on_where_it_broke() {
    let sandbox = Sandbox::new();
    build(&sandbox, "right.git", 4);
    sandbox.init("left.git", true);
    let sync = |options: &[&str]| {
        let mut command = program(example("sync"));
        command.args(["left.git", "right.git"]).args(options).current_dir(sandbox.path(""));
        run(command, b"")
    };
    let broken = sync(&["--break-after", "600000"]);
    assert_eq!(broken.status.code(), Some(2));
    let again = sync(&[]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let said = text(&again.stderr);
    assert!(said.contains("the pack goes on from byte "), "{said}");
    let came = said.lines().find(|line| line.contains("bytes came from the right")).unwrap();
    let came: usize = came.split_whitespace().next().unwrap().parse().unwrap();
    assert!(came < 4 * FILE - 500_000, "{came}");
    sandbox.ok("left.git", &["fsck", "--full", "--strict"]);
}
