//! Two small repositories that differ in every way the decision table knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Error;
use crate::support::process::{capture, clean};

/// Builds `left.git` and `right.git` below `folder` and lets them agree once on the refs that will be deleted.
pub fn build(folder: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let (left, right) = (folder.join("left.git"), folder.join("right.git"));
    import(&left, &shared())?;
    import(&right, &shared())?;
    let base = base(&left)?;
    import(&left, &left_only())?;
    import(&right, &right_only())?;
    git(&left, &["update-ref", "-d", "refs/heads/deleted-on-the-left"], "")?;
    git(&right, &["update-ref", "-d", "refs/heads/deleted-on-the-right"], "")?;
    super::base::save(&left, &right, &base)?;
    Ok((left, right))
}

/// The refs on which both sides agree before they go different ways.
fn base(repository: &Path) -> Result<Vec<u8>, Error> {
    git(repository, &["for-each-ref", "--format=%(objectname) %(refname)"], "")
}

fn import(repository: &Path, stream: &str) -> Result<(), Error> {
    let mut init = Command::new("git");
    clean(&mut init).args(["init", "--quiet", "--bare", "--initial-branch=same"]).arg(repository);
    run(init, "")?;
    git(repository, &["fast-import", "--quiet", "--force"], stream)?;
    Ok(())
}

fn git(repository: &Path, arguments: &[&str], input: &str) -> Result<Vec<u8>, Error> {
    let mut command = Command::new("git");
    clean(&mut command).arg("-C").arg(repository).args(arguments);
    run(command, input)
}

fn run(command: Command, input: &str) -> Result<Vec<u8>, Error> {
    let output = capture(command, input.as_bytes().to_vec())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::Git { command: "(building the demo)", message: output.stderr })
}

/// A fast-import stream: commits with one file each, at made-up but fixed times.
struct Stream {
    text: String,
    time: u32,
}

impl Stream {
    fn new(time: u32) -> Self {
        Self { text: String::new(), time }
    }

    /// Adds `count` commits to `branch`, the first on top of `from`.
    fn commits(&mut self, branch: &str, from: Option<&str>, count: usize, who: &str) -> &mut Self {
        for number in 1..=count {
            self.time = self.time.saturating_add(60);
            let message = format!("{branch}, {who}, {number}");
            let person = format!("{who} <{who}@example.org> {} +0000", self.time);
            let begin = match from.filter(|_| number == 1) {
                Some(from) => format!("from {from}\n"),
                None => String::new(),
            };
            self.text.push_str(&format!(
                "commit refs/heads/{branch}\nauthor {person}\ncommitter {person}\ndata {}\n{message}\n{begin}M 100644 inline {branch}.txt\ndata {}\n{message}\n\n",
                message.len(),
                message.len().saturating_add(1),
            ));
        }
        self
    }

    fn tag(&mut self, tag: &str, from: &str, who: &str) -> &mut Self {
        let person = format!("{who} <{who}@example.org> {} +0000", self.time);
        self.text.push_str(&format!("tag {tag}\nfrom {from}\ntagger {person}\ndata {}\n{tag}\n", tag.len()));
        self
    }
}

const MORE: [&str; 6] = [
    "ahead-on-the-left",
    "ahead-on-the-right",
    "changed-on-both",
    "deleted-on-the-left",
    "deleted-on-the-right",
    "deleted-and-changed",
];

fn shared() -> String {
    let mut stream = Stream::new(1_700_000_000);
    stream.commits("same", None, 6, "both").tag("v1", "refs/heads/same", "both");
    for branch in MORE {
        stream.commits(branch, Some("refs/heads/same"), 1, "both");
    }
    stream.text
}

fn left_only() -> String {
    let mut stream = Stream::new(1_700_100_000);
    stream.commits("ahead-on-the-left", Some("refs/heads/ahead-on-the-left^0"), 3, "left");
    stream.commits("changed-on-both", Some("refs/heads/changed-on-both^0"), 2, "left");
    stream.commits("new-on-the-left", Some("refs/heads/same^0"), 2, "left");
    stream.commits("deleted-and-changed", Some("refs/heads/deleted-and-changed^0"), 1, "left");
    stream.tag("v2-left", "refs/heads/new-on-the-left", "left");
    stream.text
}

fn right_only() -> String {
    let mut stream = Stream::new(1_700_200_000);
    stream.commits("ahead-on-the-right", Some("refs/heads/ahead-on-the-right^0"), 4, "right");
    stream.commits("changed-on-both", Some("refs/heads/changed-on-both^0"), 1, "right");
    stream.commits("new-on-the-right", Some("refs/heads/same^0"), 1, "right");
    stream.tag("v2-right", "refs/heads/new-on-the-right", "right");
    stream
        .text
        .push_str("reset refs/heads/deleted-and-changed\nfrom 0000000000000000000000000000000000000000\n\n");
    stream.text
}
