//! What a driver answers about borders of history, from one listing of all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::scratch::scratch;
use portline::git::fetch::server::DeepenRequest;
use portline::git::{Commit, Depth, ObjectId, ShallowUpdate};

use super::support::{commits, git, lines, text};

/// Git's words where nothing is left.
pub(crate) const NOTHING: &str = "no commits selected for shallow requests";

type Parents = BTreeMap<ObjectId, Vec<ObjectId>>;

/// `rev-list`'s own view: parents behind the repository's border are not there.
fn parents(dir: &Path, args: &[&str], starts: &[ObjectId]) -> Parents {
    if starts.is_empty() {
        return Parents::new();
    }
    let listed = lines(dir, &[&["rev-list", "--parents", "--stdin"], args].concat(), starts);
    let ids = |line: &String| line.split(' ').map(|id| id.parse().unwrap()).collect::<Vec<ObjectId>>();
    listed.iter().map(ids).map(|ids| (ids[0], ids[1..].to_vec())).collect()
}

pub(crate) fn load(dir: &Path, ids: &[ObjectId]) -> Vec<Commit> {
    let here = |id: &&ObjectId| commits(dir, &[**id]) == [**id];
    let ids: Vec<ObjectId> = ids.iter().filter(here).copied().collect();
    let listed = parents(dir, &["--no-walk"], &ids);
    let commit = |(id, parents): (ObjectId, Vec<ObjectId>)| Commit {
        id,
        parents: parents.into_iter().collect(),
        time: 0,
    };
    listed.into_iter().map(commit).collect()
}

fn own_border(dir: &Path) -> BTreeSet<ObjectId> {
    let text = std::fs::read_to_string(dir.join("shallow")).unwrap_or_default();
    text.lines().map(|id| id.parse().unwrap()).collect()
}

/// `None`: nothing is left.
pub(crate) fn deepen(dir: &Path, request: &DeepenRequest) -> Option<ShallowUpdate> {
    let wants = commits(dir, &request.wants);
    let all = parents(dir, &[], &wants);
    let own = own_border(dir);
    let (inside, border) = match request.to {
        Depth::Full if request.not.is_empty() => {
            let border = own.iter().chain(&request.shallow).copied().collect();
            (BTreeSet::new(), levels(&all, &border, wants, Depth::INFINITE).1)
        }
        Depth::Commits(Depth::INFINITE) if own.is_empty() => (seen(dir, request), BTreeSet::new()),
        Depth::Commits(depth) => levels(&all, &own, wants, depth),
        Depth::Further(depth) => {
            let from: Vec<ObjectId> = seen(dir, request).into_iter().collect();
            levels(&parents(dir, &[], &from), &own, from, depth + 1)
        }
        Depth::Since(_) | Depth::Full => {
            let mut args = Vec::new();
            let since = match request.to {
                Depth::Since(since) => format!("--max-age={since}"),
                _ => "--max-age=0".to_owned(),
            };
            args.push(since.as_str());
            let not: Vec<String> = request.not.iter().map(|id| format!("^{id}")).collect();
            args.extend(not.iter().map(String::as_str));
            let kept = parents(dir, &args, &wants);
            if kept.is_empty() {
                return None;
            }
            let is_cut = |id: &ObjectId| all[id].iter().any(|parent| !kept.contains_key(parent));
            kept.keys().copied().partition(|id| !is_cut(id))
        }
    };
    let client: BTreeSet<ObjectId> = request.shallow.iter().copied().collect();
    Some(ShallowUpdate {
        shallow: border.into_iter().filter(|id| !client.contains(id) && !inside.contains(id)).collect(),
        unshallow: request.shallow.iter().filter(|id| inside.contains(id)).copied().collect(),
    })
}

/// The part of the client's border that it may see.
fn seen(dir: &Path, request: &DeepenRequest) -> BTreeSet<ObjectId> {
    let all = parents(dir, &[], &request.tips);
    request.shallow.iter().filter(|id| request.tips.is_empty() || all.contains_key(id)).copied().collect()
}

/// Commits above the border, and those on it.
fn levels(
    all: &Parents,
    own: &BTreeSet<ObjectId>,
    mut level: Vec<ObjectId>,
    depth: u32,
) -> (BTreeSet<ObjectId>, BTreeSet<ObjectId>) {
    let (mut inside, mut border) = (BTreeSet::new(), BTreeSet::new());
    for at in 1..=depth {
        level.retain(|id| !inside.contains(id) && !border.contains(id));
        if level.is_empty() {
            break;
        }
        let (cut, whole): (Vec<ObjectId>, Vec<ObjectId>) =
            level.into_iter().partition(|id| at == depth || own.contains(id));
        border.extend(cut);
        level = whole.iter().flat_map(|id| all[id].clone()).collect();
        inside.extend(whole);
    }
    (inside, border)
}

/// A shallow copy of a repository.
pub(crate) fn shallow_copy(dir: &Path, depth: u32) -> tempfile::TempDir {
    let copy = scratch();
    let url = format!("file://{}", dir.display());
    let depth = format!("--depth={depth}");
    git(copy.path(), &["clone", "-q", "--mirror", &depth, &url, "."], b"");
    assert!(!text(std::fs::read(copy.path().join("shallow")).unwrap()).is_empty());
    copy
}
