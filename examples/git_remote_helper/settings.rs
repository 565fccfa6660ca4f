//! What Git's `option` lines have set so far.

#![allow(unreachable_pub)]

use std::str;

use bytes::Bytes;
use portline::git::{ObjectId, RefName};

use super::quote::unquote;

/// The options that Git has set. They hold until Git sets them anew.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much to say: 0 quiet, 1 as usual, more for more.
    pub verbosity: i64,
    /// Show progress.
    pub progress: bool,
    /// Take the annotated tags of what is fetched.
    pub follow_tags: bool,
    /// Say which hash function the refs are listed in.
    pub object_format: bool,
    /// Say whether all that was fetched is connected: then Git does not look itself.
    pub check_connectivity: bool,
    /// Only tell what a push would do.
    pub dry_run: bool,
    /// All refs or none.
    pub atomic: bool,
    /// For the server's hooks.
    pub push_options: Vec<Bytes>,
    /// What refs must be at for a push to move them.
    pub expected: Vec<(RefName, ObjectId)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verbosity: 1,
            progress: false,
            follow_tags: false,
            object_format: false,
            check_connectivity: false,
            dry_run: false,
            atomic: false,
            push_options: Vec::new(),
            expected: Vec::new(),
        }
    }
}

/// What an `option` line is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is set.
    Ok,
    /// We know nothing of it.
    Unsupported,
    /// It cannot be set to that.
    Error,
}

impl Settings {
    /// Sets `NAME VALUE`.
    pub fn set(&mut self, line: &[u8]) -> Answer {
        let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, value) = line.split_at_checked(space).unwrap_or((line, b""));
        let Some(value) = unquote(value.trim_ascii()) else { return Answer::Error };
        let known = match name {
            b"progress" => truth(&value, &mut self.progress),
            b"followtags" => truth(&value, &mut self.follow_tags),
            b"check-connectivity" => truth(&value, &mut self.check_connectivity),
            b"dry-run" => truth(&value, &mut self.dry_run),
            b"atomic" => truth(&value, &mut self.atomic),
            // Git names an algorithm only to helpers that push without having listed.
            b"object-format" => {
                self.object_format = true;
                Some(())
            }
            b"verbosity" => number(&value).map(|verbosity| self.verbosity = verbosity),
            b"push-option" => {
                self.push_options.push(value.into());
                Some(())
            }
            b"cas" => expected(&value).map(|expected| self.expected.push(expected)),
            // Git looks at its own reflogs for this one and asks for a push only if all is well; a clone needs
            // nothing else than a fetch.
            b"force-if-includes" | b"cloning" => Some(()),
            _ => return Answer::Unsupported,
        };
        known.map_or(Answer::Error, |()| Answer::Ok)
    }
}

fn truth(value: &[u8], to: &mut bool) -> Option<()> {
    *to = match value {
        b"true" => true,
        b"false" => false,
        _ => return None,
    };
    Some(())
}

fn number(value: &[u8]) -> Option<i64> {
    str::from_utf8(value).ok()?.parse().ok()
}

/// `REF:ID`; the null id for a ref that must not be there.
fn expected(value: &[u8]) -> Option<(RefName, ObjectId)> {
    let colon = value.iter().rposition(|byte| *byte == b':')?;
    let (name, id) = value.split_at_checked(colon)?;
    Some((RefName::new(name).ok()?, ObjectId::from_hex(id.strip_prefix(b":")?).ok()?))
}
