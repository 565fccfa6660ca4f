//! Two real repositories, `left.git` and `right.git`, and the example `sync` between them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::support_repo::{Sandbox, example, program, run, text};

/// What the program printed and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The program with these arguments, standing in `directory`.
pub fn sync_in(directory: &Path, arguments: &[&str]) -> Said {
    let mut command = program(example("sync"));
    command.args(arguments).current_dir(directory);
    let output = run(command, b"");
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

pub type Refs = BTreeMap<String, String>;

/// Two repositories in one sandbox.
pub struct Pair {
    pub sandbox: Sandbox,
}

pub const SIDES: [&str; 2] = ["left.git", "right.git"];

impl Pair {
    /// Both bare and empty.
    pub fn empty() -> Self {
        let pair = Self { sandbox: Sandbox::new() };
        SIDES.iter().for_each(|side| drop(pair.sandbox.init(side, true)));
        pair
    }

    /// A rich left side and a copy of it on the right.
    pub fn equal(refs: usize) -> Self {
        let pair = Self { sandbox: Sandbox::new() };
        pair.sandbox.rich("left.git", refs);
        pair.sandbox.ok("", &["clone", "-q", "--mirror", "left.git", "right.git"]);
        pair
    }

    /// A copy of both as they are, to come back to.
    pub fn copy(&self) -> Self {
        let copy = Self { sandbox: Sandbox::new() };
        copy.restore(self);
        copy
    }

    /// Makes both what they are in `saved`, at the same paths: the base of the last sync is found by them.
    pub fn restore(&self, saved: &Self) {
        for side in SIDES {
            let to = self.sandbox.path(side);
            if to.exists() {
                std::fs::remove_dir_all(&to).unwrap();
            }
            assert!(
                Command::new("cp")
                    .arg("-a")
                    .arg(saved.sandbox.path(side))
                    .arg(to)
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }

    pub fn sync(&self, options: &[&str]) -> Said {
        sync_in(&self.sandbox.path(""), &[&SIDES[..], options].concat())
    }

    /// A run that must end with `code`.
    pub fn ends(&self, code: i32, options: &[&str]) -> Said {
        let said = self.sync(options);
        assert_eq!(said.code, Some(code), "{options:?}:\n{}\n{}", said.out, said.err);
        said
    }

    /// A run that ends with agreement, the same refs and whole repositories; and one more, that finds nothing to do.
    pub fn agrees(&self, options: &[&str]) -> Said {
        let said = self.ends(0, options);
        assert!(said.out.contains("Both sides agree."), "{}", said.out);
        assert_eq!(self.refs(0), self.refs(1));
        self.check();
        self.is_settled(0, options);
        said
    }

    /// A run that has nothing to do.
    pub fn is_settled(&self, code: i32, options: &[&str]) {
        let before = [self.everything(0), self.everything(1)];
        let again = self.ends(code, options);
        assert!(again.out.contains("Nothing had to be moved."), "{}", again.out);
        assert_eq!([self.everything(0), self.everything(1)], before);
    }

    /// The refs that take part; those of a clone's remote only where they are asked for.
    pub fn refs(&self, side: usize) -> Refs {
        let mut refs = self.everything(side);
        refs.retain(|name, _| !name.starts_with("refs/portline/") && !name.starts_with("refs/remotes/"));
        refs
    }

    /// All refs, backups too.
    pub fn everything(&self, side: usize) -> Refs {
        let listed = self.sandbox.refs(SIDES[side]);
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(id, name)| (name.to_owned(), id.to_owned())).collect()
    }

    pub fn at(&self, side: usize, name: &str) -> Option<String> {
        self.everything(side).remove(name)
    }

    /// Both repositories are whole: every ref names an object that is there with all that it reaches.
    pub fn check(&self) {
        for side in SIDES {
            let said = self.sandbox.ok(side, &["fsck", "--full", "--strict", "--no-dangling"]);
            assert_eq!(said, "", "{side}");
        }
    }

    /// Every commit that a ref reaches.
    pub fn reachable(&self, side: usize) -> BTreeSet<String> {
        self.sandbox.ok(SIDES[side], &["rev-list", "--all"]).lines().map(str::to_owned).collect()
    }

    /// A commit on a branch of one side. Its id.
    pub fn commit(&self, side: usize, branch: &str, content: &str) -> String {
        self.sandbox.commit(SIDES[side], branch, content)
    }

    pub fn git(&self, side: usize, arguments: &[&str]) -> String {
        self.sandbox.ok(SIDES[side], arguments)
    }

    /// Lets both sides change in every way: ahead, behind, new, deleted, tags, and one conflict if asked for.
    pub fn diverge(&self, conflict: bool) {
        for branch in ["ahead-left", "ahead-right", "gone-left", "gone-right"] {
            let id = self.git(0, &["rev-parse", "main"]);
            for side in [0, 1] {
                self.git(side, &["update-ref", &format!("refs/heads/{branch}"), &id]);
            }
        }
        self.agrees(&[]);
        for (side, word) in [(0, "left"), (1, "right")] {
            for number in 0..6 {
                let noise = noise(side * 100 + number);
                self.commit(side, &format!("ahead-{word}"), &noise);
                self.commit(side, &format!("new-{word}"), &noise);
            }
            self.git(side, &["tag", "-a", "-m", word, &format!("tag-{word}"), &format!("new-{word}")]);
            self.git(side, &["tag", "-a", "-m", "nested", &format!("nested-{word}"), &format!("tag-{word}")]);
            self.git(side, &["update-ref", "-d", &format!("refs/heads/gone-{word}")]);
            if conflict {
                self.commit(side, "main", word);
            }
        }
    }
}

/// Text that does not compress to nothing, so that a pack has some bytes; the same for the same seed.
pub fn noise(seed: usize) -> String {
    let mut rng = 0x9e37_79b9_u32 ^ u32::try_from(seed).unwrap_or(0);
    let mut next = || {
        rng ^= rng << 13;
        rng ^= rng >> 17;
        rng ^= rng << 5;
        rng
    };
    (0..200).map(|_| format!("{:08x}\n", next())).collect()
}
