//! One request at a time beside `git upload-pack --stateless-rpc`.

use portline::git::fetch::server::{Action, Config, Outcome, WantPolicy};
use portline::git::{HiddenRefs, Serving, Version};

use super::support::*;
use super::{Setup, compare_as};

fn setup(version: Version, serving: Serving) -> Setup<'static> {
    let options: &[&str] = match serving {
        Serving::Session => &[],
        Serving::Advertisement => &["--http-backend-info-refs"],
        Serving::Request => &["--stateless-rpc"],
    };
    Setup { settings: &[], options, config: Config { version, serving, ..Config::default() } }
}

/// V2S-22.
#[test]
fn v2s_22_an_advertisement_alone_reads_as_gits_own() {
    let repo = repository();
    for version in [Version::V0, Version::V1, Version::V2] {
        let session = compare_as(&repo, "advertisement", &setup(version, Serving::Advertisement), "");
        assert_eq!(session.end, Action::Finished(Outcome::default()));
    }
}

/// V2S-23: wants and haves are repeated in each request; it ends with its answer.
#[test]
fn v2s_23_requests_of_versions_0_and_1_read_as_gits_own() {
    let repo = repository();
    let caps = "multi_ack_detailed side-band-64k";
    for script in [
        format!("want {{main}} {caps}\n-\ndone"),
        format!("want {{main}} {caps}\n-\nhave {{absent}}\n-"),
        format!("want {{main}} {caps}\n-\nhave {{absent}}\n-\nhave {{old}}\n-\ndone"),
        format!("want {{main}} {caps}\n-\nhave {{old}}\nhave {{absent}}\n-"),
        format!("want {{main}} {caps} no-done\n-\nhave {{old}}\nhave {{absent}}\n-"),
        format!("want {{main}} {caps}\n-\nhave {{old}}\ndone"),
        format!("want {{main}} {caps}\ndeepen 2\n-"),
        format!("want {{main}} {caps}\ndeepen 2\n-\ndone"),
        format!("want {{main~3}} {caps}\n-\ndone"),
        "want {main}\n-\nhave {absent}\n-".to_owned(),
        "want {gone}\n-\ndone".to_owned(),
        "-".to_owned(),
    ] {
        for version in [Version::V0, Version::V1] {
            compare_as(&repo, "request", &setup(version, Serving::Request), &script);
        }
    }
    // Hidden stays hidden, whatever was advertised before.
    let view = HiddenRefs::from_iter(["refs/secret"]).into();
    let config = Config { view, serving: Serving::Request, ..Config::default() };
    let session = serve(repo.path(), config, &client(repo.path(), "want {refs/secret/x}\n-\ndone"), 9);
    assert!(session.said.starts_with(b"0049ERR upload-pack: not our ref "));
}

/// V2S-24.
#[test]
fn v2s_24_requests_of_version_2_read_as_gits_own() {
    let repo = repository();
    for script in [
        "command=ls-refs\n|\npeel\nsymrefs\nref-prefix refs/tags/\n-",
        "command=fetch\n|\nwant {main}\nhave {absent}\n-",
        "command=fetch\n|\nwant {main}\nhave {old}\n-",
        "command=fetch\n|\nwant {main}\ndeepen 1\ndone\n-",
        "command=ls-refs\n|\nref-prefix HEAD\n-\ncommand=ls-refs\n-",
        "-",
        "",
    ] {
        let mut setup = setup(Version::V2, Serving::Request);
        setup.config.wants = WantPolicy::Any;
        let session = compare_as(&repo, "request", &setup, script);
        assert!(matches!(session.end, Action::Finished(_)), "{script}");
    }
}

/// V2S-20, V2S-24: sizes in a request of their own, under a policy that has to be asked.
#[test]
fn v2s_24_sizes_alone_read_as_gits_own() {
    let repo = repository();
    let options: &[&str] = &["--stateless-rpc"];
    let config =
        Config { version: Version::V2, serving: Serving::Request, object_info: true, ..Config::default() };
    let setup = Setup { settings: &["transfer.advertiseObjectInfo=true"], options, config };
    let script = "command=object-info\n|\nsize\noid {main}\noid {main~3}\noid {v1}\n-";
    let session = compare_as(&repo, "sizes", &setup, script);
    assert!(session.said.len() > 150, "they are told");
}
