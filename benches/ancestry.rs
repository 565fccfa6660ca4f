//! The ancestry of 1000 refs over 20,000 commits: indexed, planned with a driver that answers from memory, and with one
//! walk a ref for comparison.
//!
//! The refs and commits of the fixture are also given to Git, with one `merge-base --is-ancestor` a ref: a sample of the
//! refs, as all would take half a minute. `one indexed walk` is the floor for refs against one tip: it numbers nothing and
//! asks nobody, and tells one direction only.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::unreachable,
    missing_docs
)]

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use criterion::{BatchSize, Criterion};
use portline::git::{Commit, ObjectId, RefName};
use portline::sync::planner::Action;
use portline::sync::{Config, Graph, Plan, Planner};

const COMMITS: usize = 20_000;
const REFS: usize = 1000;
/// Refs that Git is asked for, of all.
const SAMPLE: usize = 20;
/// The rows with the fixture's refs.
const FIXTURE: &str = "ancestry of 1000 refs over 20,000 commits";

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn id(number: usize) -> ObjectId {
    let mut raw = [0; 20];
    let mut random = Random(number as u64);
    raw[..8].copy_from_slice(&random.next().to_be_bytes());
    raw[12..].copy_from_slice(&(number as u64).to_be_bytes());
    ObjectId::from_raw(&raw).unwrap()
}

/// Mostly a line, with topics of up to 30 commits' age merged in: every fourth commit is a merge.
fn history() -> Vec<Commit> {
    let mut random = Random(1);
    let commits = (0..COMMITS).map(|number| {
        let mut parents = Vec::new();
        if number > 0 {
            parents.push(number - 1 - random.below(2.min(number)));
            if random.below(4) == 0 {
                parents.push(number - 1 - random.below(30.min(number)));
            }
        }
        Commit { id: id(number), parents: parents.into_iter().map(id).collect(), time: number as i64 }
    });
    commits.collect()
}

type Pairs = Vec<(ObjectId, ObjectId)>;

/// The kinds of repositories: refs that moved a little, refs anywhere, and branches against one main line.
fn workloads() -> [(&'static str, Pairs); 3] {
    let mut random = Random(2);
    let near = (0..REFS).map(|number| {
        let old = random.below(COMMITS - 60);
        let (old, new) = (id(old), id(old + 1 + random.below(59)));
        if number % 2 == 0 { (old, new) } else { (new, old) }
    });
    let near: Pairs = near.collect();
    let anywhere = (0..REFS).map(|_| (id(random.below(COMMITS)), id(random.below(COMMITS))));
    let anywhere: Pairs = anywhere.collect();
    let tip = id(COMMITS - 1);
    let one: Pairs = (0..REFS).map(|_| (id(random.below(COMMITS - 1)), tip)).collect();
    [("60 apart at most", near), ("anywhere", anywhere), ("against one tip", one)]
}

/// The plan; `asked` hears of every commit that is loaded for it.
fn plan(known: &HashMap<ObjectId, Commit>, pairs: &Pairs, mut asked: impl FnMut(&ObjectId)) -> Plan {
    let side = |pick: fn(&(ObjectId, ObjectId)) -> ObjectId| {
        let named = |(number, pair)| (RefName::new(format!("refs/heads/{number:04}")).unwrap(), pick(pair));
        pairs.iter().enumerate().map(named).collect::<Vec<_>>()
    };
    let mut planner = Planner::new(Config::default(), side(|pair| pair.0), side(|pair| pair.1), None);
    planner.start().unwrap();
    loop {
        match planner.poll_action() {
            Some(Action::LoadCommits(ids)) => {
                ids.iter().for_each(&mut asked);
                planner.commits(ids.iter().filter_map(|id| known.get(id).cloned()).collect()).unwrap();
            }
            Some(Action::Planned(plan)) => return plan,
            other => unreachable!("{other:?}"),
        }
    }
}

/// What a driver without this module would do: one walk a ref and direction.
fn reaches(parents: &[Vec<u32>], from: u32, to: u32, seen: &mut [u32], mark: u32) -> bool {
    let mut stack = vec![from];
    while let Some(commit) = stack.pop() {
        if commit == to {
            return true;
        }
        if seen[commit as usize] != mark {
            seen[commit as usize] = mark;
            stack.extend(&parents[commit as usize]);
        }
    }
    false
}

fn ancestry(c: &mut Criterion) {
    let commits = history();
    let graph = Graph::new(commits.clone());
    let known: HashMap<ObjectId, Commit> = commits.iter().map(|commit| (commit.id, commit.clone())).collect();
    let numbers: HashMap<ObjectId, u32> = (0..).zip(&commits).map(|(n, commit)| (commit.id, n)).collect();
    let parents: Vec<Vec<u32>> =
        commits.iter().map(|commit| commit.parents.iter().map(|parent| numbers[parent]).collect()).collect();

    c.bench_function("indexing 20k commits", |b| {
        b.iter_batched(|| commits.clone(), Graph::new, BatchSize::LargeInput);
    });
    for (name, pairs) in workloads() {
        let mut group = c.benchmark_group(format!("ancestry of 1000 refs, {name}"));
        group.sample_size(10);
        group.bench_function("portline", |b| b.iter(|| graph.ancestry(black_box(&pairs))));
        group.bench_function("portline, planned", |b| b.iter(|| plan(&known, black_box(&pairs), |_| ())));
        group.bench_function("one walk a ref", |b| {
            b.iter(|| {
                let mut seen = vec![u32::MAX; COMMITS];
                let answers = (0_u32..).zip(&pairs).map(|(mark, (here, there))| {
                    let (here, there) = (numbers[here], numbers[there]);
                    (
                        reaches(&parents, there, here, &mut seen, 2 * mark),
                        reaches(&parents, here, there, &mut seen, 2 * mark + 1),
                    )
                });
                answers.collect::<Vec<_>>()
            });
        });
        group.finish();
    }
}

/// What the fixture's Git says, a line each.
fn git(repository: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(repository).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The commits of the fixture's server, and 1000 of its refs beside the tip of main.
fn server(repository: &Path) -> Option<(Vec<Commit>, Pairs)> {
    let id = |hex: &str| ObjectId::from_hex(hex.as_bytes()).unwrap();
    let log = git(repository, &["rev-list", "--all", "--parents", "--timestamp"])?;
    let commits = log.lines().map(|line| {
        let mut words = line.split(' ');
        let time = words.next().unwrap().parse().unwrap();
        Commit { time, id: id(words.next().unwrap()), parents: words.map(id).collect() }
    });
    let tip = id(git(repository, &["rev-parse", "refs/heads/main"])?.trim());
    let refs = git(
        repository,
        &["for-each-ref", "--format=%(objectname) %(*objectname)", "refs/heads/topic", "refs/tags"],
    )?;
    // Of a tag, what it points to.
    let refs = refs.lines().map(|line| (id(line.trim().rsplit(' ').next().unwrap()), tip));
    Some((commits.collect(), refs.step_by(2).take(REFS).collect()))
}

/// Of each commit, by its number, whether the tip has it in its history.
fn marked(parents: &[Vec<u32>], tip: u32) -> Vec<bool> {
    let mut seen = vec![false; parents.len()];
    let mut stack = vec![tip];
    while let Some(commit) = stack.pop() {
        if !std::mem::replace(&mut seen[commit as usize], true) {
            stack.extend(&parents[commit as usize]);
        }
    }
    seen
}

fn beside_git(c: &mut Criterion) {
    let Some((repository, (commits, pairs))) = support::fixture()
        .map(|folder| folder.join("server.git"))
        .and_then(|repository| server(&repository).map(|found| (repository, found)))
    else {
        eprintln!("not measured beside Git: there is none, or the fixture could not be built");
        return;
    };
    assert_eq!((commits.len(), pairs.len()), (COMMITS, REFS));
    let numbers: HashMap<ObjectId, u32> = (0..).zip(&commits).map(|(n, commit)| (commit.id, n)).collect();
    let parents: Vec<Vec<u32>> =
        commits.iter().map(|commit| commit.parents.iter().map(|parent| numbers[parent]).collect()).collect();
    let refs: Vec<u32> = pairs.iter().map(|(here, _)| numbers[here]).collect();
    let tip = numbers[&pairs[0].1];
    let graph = Graph::new(commits.clone());
    let mut group = c.benchmark_group(FIXTURE);
    group.bench_function("portline", |b| b.iter(|| graph.ancestry(black_box(&pairs))));
    group.bench_function("one indexed walk", |b| {
        b.iter(|| {
            let seen = marked(&parents, black_box(tip));
            refs.iter().filter(|number| seen[**number as usize]).count()
        });
    });
    group.finish();
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut figures = support::Figures::default();
    let started = std::time::Instant::now();
    for (here, tip) in pairs.iter().step_by(REFS / SAMPLE) {
        assert!(
            git(&repository, &["merge-base", "--is-ancestor", &here.to_string(), &tip.to_string()]).is_some()
        );
    }
    let all = started.elapsed().as_nanos() as f64 * (REFS / SAMPLE) as f64;
    figures.add(FIXTURE, "git merge-base --is-ancestor", all);
    let known: HashMap<ObjectId, Commit> = commits.into_iter().map(|commit| (commit.id, commit)).collect();
    let mut asked: HashMap<ObjectId, u32> = HashMap::new();
    plan(&known, &pairs, |id| *asked.entry(*id).or_default() += 1);
    let most = asked.values().max().copied().unwrap_or_default();
    figures.add("ancestry, a commit is asked for so often at most", "portline", most.into());
    figures.save("ancestry");
}

fn main() {
    support::run(&[ancestry, beside_git]);
}
