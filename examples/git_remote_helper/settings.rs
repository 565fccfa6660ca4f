//! What Git's `option` lines have set so far.

#![allow(unreachable_pub)]

use std::str::{self, FromStr};

use bytes::Bytes;
use portline::git::{Deepen, Depth, Filter, ObjectId, RefName};

use super::support::history::seconds;
use super::support::{Error, Repository};

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
    /// How deep, as a number of commits; 0 for no limit.
    pub depth: u32,
    /// The depth counts from the present border.
    pub relative: bool,
    /// Only commits since this date.
    pub since: Option<String>,
    /// Refs whose history is left out.
    pub not: Vec<Bytes>,
    /// Take over a shallow server's border: Git said so, or clones.
    pub update_shallow: bool,
    /// What is left out.
    pub filter: Option<Filter>,
    /// The server is one that promised to complete what is missing.
    pub from_promisor: bool,
    /// As if nothing were here.
    pub refetch: bool,
    /// Only tell what a push would do.
    pub dry_run: bool,
    /// All refs or none.
    pub atomic: bool,
    /// Sign the push: `Some(true)` whatever the server says, `Some(false)` if it takes certificates.
    pub sign: Option<bool>,
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
            depth: 0,
            relative: false,
            since: None,
            not: Vec::new(),
            update_shallow: false,
            filter: None,
            from_promisor: false,
            refetch: false,
            dry_run: false,
            atomic: false,
            sign: None,
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
            b"deepen-relative" => truth(&value, &mut self.relative),
            b"update-shallow" | b"cloning" => truth(&value, &mut self.update_shallow),
            // Git says `1` or `yes` here.
            b"from-promisor" => set(&mut self.from_promisor),
            b"refetch" => set(&mut self.refetch),
            b"depth" => number(&value).map(|depth| self.depth = depth),
            b"deepen-since" => String::from_utf8(value).ok().map(|since| self.since = Some(since)),
            b"deepen-not" => add(&mut self.not, value),
            b"filter" => Filter::parse(&value).ok().map(|filter| self.filter = Some(filter)),
            b"dry-run" => truth(&value, &mut self.dry_run),
            b"atomic" => truth(&value, &mut self.atomic),
            // Git names an algorithm only to helpers that push without having listed.
            b"object-format" => set(&mut self.object_format),
            b"verbosity" => number(&value).map(|verbosity| self.verbosity = verbosity),
            b"pushcert" => signing(&value).map(|sign| self.sign = sign),
            b"push-option" => add(&mut self.push_options, value),
            b"cas" => expected(&value).map(|expected| self.expected.push(expected)),
            // Git looks at its own reflogs for this one and asks for a push only if all is well.
            b"force-if-includes" => Some(()),
            _ => return Answer::Unsupported,
        };
        known.map_or(Answer::Error, |()| Answer::Ok)
    }
}

impl Settings {
    /// How deep a fetch is to go.
    ///
    /// # Errors
    /// [`Error::Answer`] for a date that Git does not read, [`Error::Io`].
    pub fn deepen(&self, repository: &Repository) -> Result<Deepen, Error> {
        let to = match (&self.since, self.depth, self.relative) {
            (Some(date), ..) => Depth::Since(seconds(repository, date)?),
            (None, 0, _) => Depth::Full,
            (None, depth, true) => Depth::Further(depth),
            (None, depth, false) => Depth::Commits(depth),
        };
        Ok(Deepen { to, not: self.not.clone() })
    }
}

fn signing(value: &[u8]) -> Option<Option<bool>> {
    match value {
        b"true" => Some(Some(true)),
        b"if-asked" => Some(Some(false)),
        b"false" => Some(None),
        _ => None,
    }
}

fn set(truth: &mut bool) -> Option<()> {
    *truth = true;
    Some(())
}

fn add(list: &mut Vec<Bytes>, value: Vec<u8>) -> Option<()> {
    list.push(value.into());
    Some(())
}

fn truth(value: &[u8], to: &mut bool) -> Option<()> {
    *to = match value {
        b"true" => true,
        b"false" => false,
        _ => return None,
    };
    Some(())
}

fn number<T: FromStr>(value: &[u8]) -> Option<T> {
    str::from_utf8(value).ok()?.parse().ok()
}

/// `REF:ID`; the null id for a ref that must not be there.
fn expected(value: &[u8]) -> Option<(RefName, ObjectId)> {
    let colon = value.iter().rposition(|byte| *byte == b':')?;
    let (name, id) = value.split_at_checked(colon)?;
    Some((RefName::new(name).ok()?, ObjectId::from_hex(id.strip_prefix(b":")?).ok()?))
}
