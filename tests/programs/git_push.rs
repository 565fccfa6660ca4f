//! Real pushes of every kind between the real Git and the examples: `git push` into `git_server`, `git_client push` into
//! the real `git receive-pack`, signed, atomic, shallow, in namespaces, in SHA-1 and SHA-256.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support_repo::{Sandbox, example, program, run, server, text};

/// A program in place of GnuPG: it signs with a line, and finds its own signatures good.
const SIGNER: &str = r#"#!/bin/sh
case "$*" in
*--verify*)
    echo "[GNUPG:] NEWSIG"
    if cat | tail -n 1 | grep -q refs/heads; then echo "[GNUPG:] GOODSIG 0123456789ABCDEF A U Thor <a@b>"
    else echo "[GNUPG:] BADSIG 0123456789ABCDEF A U Thor <a@b>"; fi
    echo "[GNUPG:] TRUST_FULLY 0 pgp" ;;
*)
    cat >/dev/null
    printf '%s\n' '-----BEGIN PGP SIGNATURE-----' '' 'c2lnbmVk' '-----END PGP SIGNATURE-----'
    echo "[GNUPG:] SIG_CREATED D 1 8 00 1700000000 FINGERPRINT" >&2 ;;
esac
"#;

/// Repositories to push from and to, with a signer for both.
fn pair(format: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let object_format = format!("--object-format={format}");
    for name in ["origin.git", "work.git"] {
        sandbox.ok("", &["init", "-q", "--bare", "-b", "main", &object_format, name]);
    }
    sandbox.commit("work.git", "main", "one");
    sandbox.commit("work.git", "main", "two");
    sandbox.commit("work.git", "main", "three");
    sandbox.commit("work.git", "side", "aside");
    let signer = sandbox.path("signer");
    fs::write(&signer, SIGNER).unwrap();
    fs::set_permissions(&signer, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["origin.git", "work.git"] {
        sandbox.set(name, "gpg.program", signer.to_str().unwrap());
        sandbox.set(name, "user.signingKey", "KEY");
    }
    sandbox
}

/// The server program for `--receive-pack` or behind `--`.
fn receive_pack(ours: bool) -> String {
    if ours { server("receive-pack") } else { "git receive-pack".to_owned() }
}

fn git_push(sandbox: &Sandbox, from: &str, ours: bool, words: &[&str]) -> Output {
    let command = format!("--receive-pack={}", receive_pack(ours));
    let url = sandbox.path("origin.git");
    let (options, specs): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    let fixed = ["push", "--porcelain", &command];
    sandbox.git(from, &[&fixed, &options[..], &[url.to_str().unwrap()], &specs[..]].concat())
}

/// Our client, with our server or the real one behind it.
fn client_push(sandbox: &Sandbox, from: &str, ours: bool, words: &[&str]) -> Output {
    let mut command = program(example("git_client"));
    command.arg("push").arg(sandbox.path(from)).args(words).arg("--");
    if ours {
        command.arg(example("git_server"))
    } else {
        command.arg("git")
    };
    command.arg("receive-pack").arg(sandbox.path("origin.git"));
    run(command, b"")
}

type Push = fn(&Sandbox, &str, bool, &[&str]) -> Output;
const CLIENTS: [(&str, Push); 2] = [("git", git_push), ("ours", client_push)];

#[track_caller]
fn well(output: &Output) -> String {
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn every_kind_of_push_in_both_object_formats_between_all_pairs() {
    for format in ["sha1", "sha256"] {
        for (client, push) in CLIENTS {
            for ours in [true, false] {
                // The real ones among themselves are not our matter; one pair is enough for the longer ids.
                if client == "git" && !ours || format == "sha256" && client == "ours" && ours {
                    continue;
                }
                let sandbox = pair(format);
                sandbox.set("origin.git", "receive.advertisePushOptions", "true");
                sandbox.hook(
                    "origin.git",
                    "post-receive",
                    "echo \"options $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0\"; cat >/dev/null",
                );
                well(&push(&sandbox, "work.git", ours, &["refs/heads/*:refs/heads/*"]));
                assert_eq!(sandbox.refs("origin.git"), sandbox.refs("work.git"));
                sandbox.commit("work.git", "main", "four");
                let said = well(&push(
                    &sandbox,
                    "work.git",
                    ours,
                    &[
                        "--atomic",
                        "--push-option=a b",
                        "main",
                        "+main~2:refs/heads/side",
                        "main:refs/tags/v1",
                    ],
                ));
                assert!(said.contains("options 1 a b"), "{said}");
                assert_eq!(sandbox.id("origin.git", "side"), sandbox.id("work.git", "main~2"));
                well(&push(&sandbox, "work.git", ours, &[":refs/heads/side"]));
                assert!(!sandbox.refs("origin.git").contains("side"));
                let refused = push(
                    &sandbox,
                    "work.git",
                    ours,
                    &["--atomic", "main~1:refs/heads/main", "main:refs/heads/x"],
                );
                assert!(!refused.status.success() && !sandbox.refs("origin.git").contains("heads/x"));
                sandbox.check("origin.git");
            }
        }
    }
}

#[test]
fn a_signed_push_is_verified_and_its_hooks_are_told() {
    let tell = "env | grep ^GIT_PUSH_CERT | sed 's/^\\(GIT_PUSH_CERT\\|GIT_PUSH_CERT_NONCE\\)=.*/\\1/' | sort >told; cat >>told
git cat-file blob $GIT_PUSH_CERT | sed -e 's/^nonce .*/nonce/' -e 's/^pushee .*/pushee/' -e 's/^pusher .*/pusher/' >>told";
    let mut seen: Vec<String> = Vec::new();
    for (_, push) in CLIENTS {
        for ours in [true, false] {
            let sandbox = pair("sha1");
            let signed = push(&sandbox, "work.git", ours, &["--signed", "main"]);
            assert!(!signed.status.success(), "nobody asked for a signature");
            well(&push(&sandbox, "work.git", ours, &["--signed=if-asked", "main~1:refs/heads/main"]));
            sandbox.set("origin.git", "receive.certNonceSeed", "seed");
            sandbox.set("origin.git", "receive.advertisePushOptions", "true");
            sandbox.hook("origin.git", "pre-receive", tell);
            well(&push(&sandbox, "work.git", ours, &["--signed", "--push-option=x y", "main"]));
            assert_eq!(sandbox.id("origin.git", "main"), sandbox.id("work.git", "main"));
            let told = fs::read_to_string(sandbox.path("origin.git/told")).unwrap();
            assert!(
                told.contains("GIT_PUSH_CERT_STATUS=G\n") && told.contains("NONCE_STATUS=OK\n"),
                "{told}"
            );
            seen.push(told.replace("pushee\n", ""));
        }
    }
    // Whoever signs and whoever takes it, the hook is told the same.
    assert!(seen.iter().all(|told| *told == seen[0]), "{seen:#?}");
}

/// A program in place of `ssh-keygen`: it signs and finds good wherever the file that `-f` names is there.
const SSH_SIGNER: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
    -Y) verb=$2; shift ;;
    -f) named=$2; shift ;;
    -[nsI]) shift ;;
    -*) ;;
    *) file=$1 ;;
    esac
    shift
done
[ -f "$named" ] || { echo "no file $named" >&2; exit 1; }
case "$verb" in
sign) printf '%s\n' '-----BEGIN SSH SIGNATURE-----' 'U1NI' '-----END SSH SIGNATURE-----' >"$file.sig" ;;
find-principals) echo me@here ;;
verify) cat >/dev/null; echo 'Good "git" signature for me@here with ED25519 key SHA256:abc' ;;
esac
"#;

/// `user.signingKey` and `gpg.ssh.allowedSignersFile` are files as Git reads them: `~` is the home.
#[test]
fn the_files_of_the_signing_settings_may_stand_below_the_home() {
    let sandbox = pair("sha1");
    fs::write(sandbox.path("signer"), SSH_SIGNER).unwrap();
    for (name, settings) in [
        ("work.git", [("gpg.format", "ssh"), ("user.signingKey", "~/id_key")]),
        ("origin.git", [("gpg.ssh.allowedSignersFile", "~/allowed"), ("receive.certNonceSeed", "seed")]),
    ] {
        settings.iter().for_each(|(key, value)| sandbox.set(name, key, value));
        sandbox.set(name, "gpg.ssh.program", sandbox.path("signer").to_str().unwrap());
    }
    sandbox.hook("origin.git", "pre-receive", "env | grep -E '^GIT_PUSH_CERT_(STATUS|SIGNER)=' | sort >told");
    let push = |ours: bool, spec: &str| {
        let mut command = program(example("git_client"));
        command.env("HOME", sandbox.path("")).args(["push", "--signed"]).arg(sandbox.path("work.git"));
        command.args([spec, "--"]);
        let server = if ours { example("git_server") } else { "git".into() };
        run(
            {
                command.arg(server).arg("receive-pack").arg(sandbox.path("origin.git"));
                command
            },
            b"",
        )
    };
    assert!(!push(true, "main").status.success(), "there is no such key");
    fs::write(sandbox.path("id_key"), "").unwrap();
    fs::write(sandbox.path("allowed"), "").unwrap();
    for (ours, spec) in [(true, "main"), (false, "side")] {
        well(&push(ours, spec));
        let told = fs::read_to_string(sandbox.path("origin.git/told")).unwrap();
        assert_eq!(told, "GIT_PUSH_CERT_SIGNER=me@here\nGIT_PUSH_CERT_STATUS=G\n", "{ours}");
    }
}

#[test]
fn a_shallow_clone_pushes_and_a_shallow_server_takes_it() {
    for (client, push) in CLIENTS {
        let sandbox = pair("sha1");
        let (work, shallow) =
            (sandbox.path("work.git"), format!("file://{}", sandbox.path("work.git").display()));
        sandbox.ok("", &["clone", "-q", "--bare", "--depth=2", &shallow, "shallow.git"]);
        sandbox.commit("shallow.git", "main", "new");
        let refused = push(&sandbox, "shallow.git", true, &["main"]);
        let said = text(&refused.stdout) + &text(&refused.stderr);
        assert!(!refused.status.success() && said.contains("shallow update not allowed"), "{client}: {said}");
        sandbox.set("origin.git", "receive.shallowUpdate", "true");
        well(&push(&sandbox, "shallow.git", true, &["main"]));
        let border = fs::read_to_string(sandbox.path("origin.git/shallow")).unwrap();
        assert_eq!(border, fs::read_to_string(sandbox.path("shallow.git/shallow")).unwrap());
        // Now the server is shallow itself, and says so.
        sandbox.commit("shallow.git", "main", "newer");
        well(&push(&sandbox, "shallow.git", true, &["main"]));
        assert_eq!(sandbox.id("origin.git", "main"), sandbox.id("shallow.git", "main"));
        sandbox.check("origin.git");
        // Where the whole history is known, a shallow clone pushes as any other.
        sandbox.ok("", &["clone", "-q", "--bare", work.to_str().unwrap(), "whole.git"]);
        let mut command: Command = program(example("git_client"));
        command.arg("push").arg(sandbox.path("shallow.git")).args(["main:refs/heads/from-shallow", "--"]);
        command.arg(example("git_server")).arg("receive-pack").arg(sandbox.path("whole.git"));
        well(&run(command, b""));
        assert!(!Path::new(&sandbox.path("whole.git/shallow")).exists());
        sandbox.check("whole.git");
    }
}

#[test]
fn a_push_into_a_namespace_touches_nothing_else() {
    let sandbox = pair("sha1");
    well(&git_push(&sandbox, "work.git", false, &["main"]));
    let before = sandbox.refs("origin.git");
    for ours in [true, false] {
        let receive = format!("--receive-pack=env GIT_NAMESPACE=n/{ours} {}", receive_pack(ours));
        let url = sandbox.path("origin.git");
        sandbox.ok("work.git", &["push", "-q", "--mirror", &receive, url.to_str().unwrap()]);
        sandbox
            .ok("work.git", &["push", "-q", &receive, url.to_str().unwrap(), ":side", "main~1:refs/heads/x"]);
    }
    let refs = sandbox.refs("origin.git");
    let of = |ours: bool| {
        let prefix = format!("refs/namespaces/n/refs/namespaces/{ours}/");
        refs.lines()
            .filter(|line| line.contains(&prefix))
            .map(|line| line.replace(&prefix, ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(true), of(false));
    assert_eq!(of(true).len(), 2);
    assert!(refs.starts_with(&before));
}

/// GIT-22, PUSH-27: what an HTTP server calls.
#[test]
fn one_request_at_a_time_gives_the_bytes_of_the_real_git() {
    let sandbox = pair("sha1");
    well(&git_push(&sandbox, "work.git", false, &["main~1:refs/heads/main"]));
    let call = |ours: bool, flags: &[&str], version: &str, input: &[u8]| {
        let mut command = if ours { program(example("git_server")) } else { program("git") };
        command.arg("receive-pack").args(flags).arg(sandbox.path("origin.git")).env("GIT_PROTOCOL", version);
        let output = run(command, input);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        // The agents differ, and the length of the line with them.
        let cut = |line: &str| {
            line.split(" agent=").next().unwrap()[usize::from(line.contains(" agent=")) * 4..].to_owned()
        };
        said.lines().map(cut).collect::<Vec<_>>()
    };
    for version in ["", "version=1", "version=2"] {
        for flags in [&["--http-backend-info-refs"][..], &["--stateless-rpc", "--http-backend-info-refs"]] {
            assert_eq!(
                call(true, flags, version, b""),
                call(false, flags, version, b""),
                "{version} {flags:?}"
            );
        }
    }
    let (old, new) = (sandbox.id("work.git", "main~1"), sandbox.id("work.git", "main"));
    let pack = sandbox.feed(
        "work.git",
        &["pack-objects", "--revs", "--stdout", "-q"],
        format!("{new}\n^{old}\n").as_bytes(),
    );
    let command = format!("{old} {new} refs/heads/main\0report-status side-band-64k");
    let push = [format!("{:04x}{command}0000", command.len() + 4).into_bytes(), pack].concat();
    let back = format!("{new} {old} refs/heads/main");
    let real = call(false, &["--stateless-rpc"], "", &push);
    sandbox.ok("origin.git", &["update-ref", "refs/heads/main", &old]);
    assert_eq!(call(true, &["--stateless-rpc"], "version=1", &push), real, "{back}");
    assert_eq!(sandbox.id("origin.git", "main"), new);
    assert_eq!(call(true, &["--stateless-rpc"], "", b"0000"), Vec::<String>::new());
}
