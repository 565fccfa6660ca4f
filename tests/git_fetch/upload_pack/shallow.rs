//! Shallow clients and shallow servers beside `git upload-pack`, in all versions.

use portline::git::fetch::server::{Action, Config, Error, FilterPolicy, WantPolicy};
use portline::git::{HiddenRefs, Version};

use super::border::{NOTHING, shallow_copy};
use super::support::*;
use super::{Setup, compare, compare_as};

const BORDERS: [(&str, &str); 19] = [
    ("depth", "deepen 1"),
    ("depth over a merge", "deepen 8"),
    ("depth to the root", "deepen 99"),
    ("all of it", "deepen 2147483647"),
    ("a client's border", "shallow {main~3}"),
    ("a border that is not here", "shallow {absent}"),
    ("deeper", "shallow {main~1}\ndeepen 4"),
    ("less deep", "shallow {main~4}\ndeepen 2"),
    ("as deep", "shallow {main~1}\ndeepen 2"),
    ("further", "shallow {main~1}\ndeepen-relative\ndeepen 2"),
    ("further over a merge", "shallow {main~5}\nshallow {side~1}\ndeepen-relative\ndeepen 1"),
    ("further from elsewhere", "shallow {lone}\ndeepen-relative\ndeepen 1"),
    ("unshallow", "shallow {main~1}\nshallow {lone}\nshallow {absent}\ndeepen 2147483647"),
    ("since", "deepen-since 1000000600"),
    ("since, with a border", "shallow {main~1}\ndeepen-since 1000000600"),
    ("not a tag", "deepen-not v1"),
    ("not a branch, by its full name", "deepen-not refs/heads/old"),
    ("not two", "deepen-not old\ndeepen-not side"),
    ("since and not", "shallow {main~1}\ndeepen-since 1000000600\ndeepen-not heads/old"),
];

/// SHALLOW-1, SHALLOW-3, SHALLOW-4, SHALLOW-5, SHALLOW-6, SHALLOW-8, in version 0.
#[test]
fn shallow_1_borders_read_as_gits_own_in_version_0() {
    let repo = repository();
    for (name, lines) in BORDERS {
        let relative = if lines.contains("relative") { " deepen-relative" } else { "" };
        let lines = lines.replace("deepen-relative\n", "");
        for haves in ["", "have {main~1}\nhave {absent}\n-\n"] {
            let script =
                format!("want {{main}} multi_ack_detailed side-band-64k{relative}\n{lines}\n-\n{haves}done");
            // Which haves are "ready" depends on a history that Git has cut already; what is sent does not.
            let plain = script.replace("multi_ack_detailed ", "");
            compare(&repo, name, &[], &Config::default(), if haves.is_empty() { &script } else { &plain });
        }
    }
}

/// SHALLOW-2, SHALLOW-3, SHALLOW-4, SHALLOW-5, SHALLOW-6, SHALLOW-8, in version 2.
#[test]
fn shallow_2_borders_read_as_gits_own_in_version_2() {
    let repo = repository();
    let config =
        Config { version: Version::V2, wants: WantPolicy::Any, sideband_all: true, ..Config::default() };
    let setup = Setup { settings: &["uploadpack.allowSidebandAll=true"], options: &[], config };
    for (name, lines) in BORDERS {
        for more in ["done", "have {main~1}\nhave {absent}", "sideband-all\ndone"] {
            compare_as(&repo, name, &setup, &format!("command=fetch\n|\nwant {{main}}\n{lines}\n{more}\n-"));
        }
    }
}

/// SHALLOW-7: a repository that is shallow itself.
#[test]
fn shallow_7_a_shallow_server_reads_as_gits_own() {
    let repo = repository();
    let copy = shallow_copy(repo.path(), 3);
    let own = std::fs::read_to_string(copy.path().join("shallow")).unwrap();
    let shallow = own.lines().map(|id| id.parse().unwrap()).collect();
    let config = Config { shallow, wants: WantPolicy::Any, ..Config::default() };
    let any = "uploadpack.allowAnySHA1InWant=true";
    for lines in
        ["", "deepen 2", "deepen 9", "deepen 2147483647", "shallow {main~1}", "shallow {main~1}\ndeepen 3"]
    {
        let script = format!("want {{main}} side-band-64k\n{lines}\n-\ndone");
        compare(&copy, lines, &[any], &config, &script);
        let setup = Setup {
            settings: &[any],
            options: &[],
            config: Config { version: Version::V2, ..config.clone() },
        };
        compare_as(&copy, lines, &setup, &format!("command=fetch\n|\nwant {{main}}\n{lines}\ndone\n-"));
    }
}

/// SHALLOW-3: nothing is left, in Git's words; names that name no ref, or one that is not shown.
#[test]
fn shallow_3_borders_that_cannot_be_drawn_are_refused() {
    let repo = repository();
    let end = |version, lines: &str| {
        let script = match version {
            Version::V2 => format!("command=fetch\n|\nwant {{main}}\n{lines}\ndone\n-"),
            _ => format!("want {{main}}\n{lines}\n-\ndone"),
        };
        let view = HiddenRefs::from_iter(["refs/secret"]).into();
        let session = serve(
            repo.path(),
            Config { version, view, ..Config::default() },
            &client(repo.path(), &script),
            9,
        );
        (session.end, String::from_utf8_lossy(&session.said).into_owned())
    };
    for version in [Version::V0, Version::V1, Version::V2] {
        for lines in ["deepen-since 2000000000", "deepen-not main"] {
            let (ended, said) = end(version, lines);
            assert_eq!(ended, Action::Failed(Error::DeepenFailed { reason: NOTHING.into() }));
            assert!(said.ends_with(&format!("ERR upload-pack: {NOTHING}")));
        }
        for name in ["none", "main~1", "refs/secret/x", "secret/x"] {
            let (ended, _) = end(version, &format!("deepen-not {name}"));
            assert_eq!(ended, Action::Failed(Error::DeepenNot { name: name.into() }));
        }
        assert_eq!(end(version, "deepen 1\ndeepen-not old").0, Action::Failed(Error::DeepenTwice));
        for line in ["deepen 0", "deepen -1", "deepen 1x", "deepen ", "deepen-since x", "shallow main"] {
            assert!(matches!(end(version, line).0, Action::Failed(Error::Session(_))), "{line}");
        }
    }
    git(repo.path(), &["branch", "v1", "main"], b"");
    forget();
    assert_eq!(end(Version::V0, "deepen-not v1").0, Action::Failed(Error::DeepenNot { name: "v1".into() }));
}

/// SHALLOW-8: partial clones of version 0.
#[test]
fn shallow_8_filters_of_version_0_read_as_gits_own() {
    let repo = repository();
    let config = Config { filters: Some(FilterPolicy::default()), ..Config::default() };
    let allow = ["uploadpack.allowFilter=true"];
    compare(&repo, "filter", &allow, &config, "want {main} side-band-64k filter\nfilter blob:none\n-\ndone");
    compare(&repo, "and depth", &allow, &config, "want {main} filter\nfilter tree:1\ndeepen 2\n-\ndone");
    let twice = client(repo.path(), "want {main} filter\nfilter tree:1\nfilter tree:1\n-");
    assert_eq!(serve(repo.path(), config.clone(), &twice, 9).end, Action::Failed(Error::FilterTwice));
    let bad = client(repo.path(), "want {main} filter\nfilter tree\n-");
    assert!(matches!(serve(repo.path(), config, &bad, 9).end, Action::Failed(Error::Filter(_))));
}
