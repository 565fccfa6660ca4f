//! Where a client's history is to end: the answer to [`Action::Deepen`], worked out as Git does.
//!
//! [`Action::Deepen`]: portline::git::fetch::server::Action::Deepen

use std::collections::HashSet;

use portline::git::fetch::server::DeepenRequest;
use portline::git::{Depth, ObjectId, ShallowUpdate};

use super::error::Error;
use super::history::{Loader, Walk};
use super::objects::ObjectReader;
use super::repository::Repository;

/// What is said where the borders leave nothing, in Git's words.
const NOTHING: &[u8] = b"no commits selected for shallow requests";

/// Commits above a border, and those on it.
#[derive(Debug, Default)]
struct Cut {
    above: HashSet<ObjectId>,
    on: Vec<ObjectId>,
}

/// How the client's border moves. Inside, why it cannot.
///
/// # Errors
/// [`Error::Io`], [`Error::Answer`].
pub fn deepen(
    repository: &Repository,
    objects: &mut ObjectReader,
    request: &DeepenRequest,
) -> Result<Result<ShallowUpdate, Vec<u8>>, Error> {
    let own: HashSet<ObjectId> = repository.shallow()?.into_iter().collect();
    let tips: Vec<ObjectId> = objects.peeled(&request.wants)?.into_iter().flatten().collect();
    let cut = match request.to {
        Depth::Commits(Depth::INFINITE) if own.is_empty() => {
            Cut { above: seen(repository, objects, request)?.into_iter().collect(), on: Vec::new() }
        }
        Depth::Commits(Depth::INFINITE) => all(repository, &own, &tips)?,
        Depth::Commits(depth) => levels(repository, objects, &own, tips, depth)?,
        Depth::Further(depth) => {
            let from = seen(repository, objects, request)?;
            levels(repository, objects, &own, from, depth.saturating_add(1))?
        }
        Depth::Full if request.not.is_empty() => {
            let border = own.iter().chain(&request.shallow).copied().collect();
            let cut = levels(repository, objects, &border, tips, Depth::INFINITE)?;
            Cut { above: HashSet::new(), ..cut }
        }
        Depth::Since(since) => selected(repository, &tips, Some(since), &request.not)?,
        Depth::Full => selected(repository, &tips, None, &request.not)?,
    };
    if cut.above.is_empty() && cut.on.is_empty() && matches!(request.to, Depth::Since(_) | Depth::Full) {
        return Ok(Err(NOTHING.to_vec()));
    }
    let client: HashSet<ObjectId> = request.shallow.iter().copied().collect();
    let mut shallow = cut.on;
    shallow.retain(|id| !client.contains(id) && !cut.above.contains(id));
    let mut unshallow = request.shallow.clone();
    unshallow.retain(|id| cut.above.contains(id));
    Ok(Ok(ShallowUpdate { shallow, unshallow }))
}

/// All that the tips reach: only our own border is one.
fn all(repository: &Repository, own: &HashSet<ObjectId>, tips: &[ObjectId]) -> Result<Cut, Error> {
    let mut cut = Cut::default();
    let mut walk = Walk::start(repository.git(), tips)?;
    while let Some(commit) = walk.next_commit()? {
        match own.contains(&commit.id) {
            true => cut.on.push(commit.id),
            false => drop(cut.above.insert(commit.id)),
        }
    }
    Ok(cut)
}

/// `depth` commits along every line, the first ones included; a commit counts where it is nearest.
fn levels(
    repository: &Repository,
    objects: &mut ObjectReader,
    own: &HashSet<ObjectId>,
    mut level: Vec<ObjectId>,
    depth: u32,
) -> Result<Cut, Error> {
    let mut cut = Cut::default();
    let mut seen = HashSet::new();
    let mut loader = Loader::new();
    for at in 1..=depth {
        level.retain(|id| seen.insert(*id));
        if level.is_empty() {
            break;
        }
        if at == depth {
            cut.on.append(&mut level);
            break;
        }
        let (border, whole): (Vec<ObjectId>, Vec<ObjectId>) =
            level.into_iter().partition(|id| own.contains(id));
        cut.on.extend(border);
        // A shallow clone is mostly a few commits deep; a long way down, a walk reads ahead.
        let commits = match at < PLAIN_LEVELS {
            true => objects.commits(&whole)?,
            false => loader.load(repository.git(), objects, &whole)?,
        };
        level = commits.into_iter().flat_map(|commit| commit.parents).collect();
        cut.above.extend(whole);
    }
    Ok(cut)
}

/// Levels that are read one by one.
const PLAIN_LEVELS: u32 = 16;

/// The part of the client's border that it may see.
fn seen(
    repository: &Repository,
    objects: &mut ObjectReader,
    request: &DeepenRequest,
) -> Result<Vec<ObjectId>, Error> {
    let mut seen = request.shallow.clone();
    if request.tips.is_empty() {
        return Ok(seen);
    }
    let tips = objects.existing(&request.tips)?;
    let mut walk = Walk::within(repository.git(), &seen, None, &tips)?;
    let mut hidden = HashSet::new();
    while let Some(commit) = walk.next_commit()? {
        hidden.insert(commit.id);
    }
    seen.retain(|id| !hidden.contains(id));
    Ok(seen)
}

/// What is newer than a time and not reached by others; the border is what has a parent outside.
fn selected(
    repository: &Repository,
    tips: &[ObjectId],
    since: Option<u64>,
    not: &[ObjectId],
) -> Result<Cut, Error> {
    let mut walk = Walk::within(repository.git(), tips, since, not)?;
    let mut commits = Vec::new();
    while let Some(commit) = walk.next_commit()? {
        commits.push(commit);
    }
    let kept: HashSet<ObjectId> = commits.iter().map(|commit| commit.id).collect();
    let mut cut = Cut::default();
    for commit in commits {
        match commit.parents.iter().all(|parent| kept.contains(parent)) {
            true => drop(cut.above.insert(commit.id)),
            false => cut.on.push(commit.id),
        }
    }
    Ok(cut)
}
