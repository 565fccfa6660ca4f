//! The plan and its results as tables on standard output.

use portline::Printable;
use portline::git::ObjectId;
use portline::peer::sync::{Outcome, RefFailure, RefResult};
use portline::sync::{Plan, RefPlan, Step};

/// Prints the plan: ref, left, right, decision.
pub fn plan(plan: &Plan) {
    let rows: Vec<[String; 4]> = plan
        .refs
        .iter()
        .map(|entry| [name(entry), id(entry.local), id(entry.remote), decision(entry)])
        .collect();
    if rows.is_empty() {
        return print("Neither side has any refs.\n");
    }
    print("\nPlan\n");
    print_table(&["ref", "left", "right", "decision"], &rows);
}

/// Prints what was done for each ref that there was something to do for.
pub fn results(outcome: &Outcome) {
    let rows: Vec<[String; 2]> = outcome
        .refs
        .iter()
        .filter(|entry| !matches!(entry.result, RefResult::Unchanged | RefResult::Excluded))
        .map(|entry| [name(&entry.plan), result(&entry.plan, &entry.result)])
        .collect();
    if !rows.is_empty() {
        print("\nResult\n");
        print_table(&["ref", "what was done"], &rows);
    }
}

fn name(entry: &RefPlan) -> String {
    Printable(entry.name.as_bytes()).to_string()
}

fn id(id: Option<ObjectId>) -> String {
    id.map_or_else(|| "–".to_owned(), |id| format!("{id:.8}"))
}

fn decision(entry: &RefPlan) -> String {
    let words = match (entry.step, entry.local, entry.remote) {
        (Step::Keep, ..) => "=  up to date",
        (Step::UpdateLocal { .. }, None, _) => "←  create on the left",
        (Step::UpdateLocal { force: false }, ..) => "←  left is behind: fast-forward",
        (Step::UpdateLocal { force: true }, ..) => "←  overwrite the left, keep a backup",
        (Step::UpdateRemote { .. }, _, None) => "→  create on the right",
        (Step::UpdateRemote { force: false }, ..) => "→  right is behind: fast-forward",
        (Step::UpdateRemote { force: true }, ..) => "→  overwrite the right, keep a backup",
        (Step::DeleteLocal { .. }, ..) => "←  deleted on the right: delete here, keep a backup",
        (Step::DeleteRemote { .. }, ..) => "→  deleted on the left: delete there, keep a backup",
        (Step::Conflict, None, _) => "!  conflict: deleted on the left, changed on the right",
        (Step::Conflict, _, None) => "!  conflict: changed on the left, deleted on the right",
        (Step::Conflict, ..) => "!  conflict: both sides changed",
        (Step::Excluded, ..) => "·  excluded",
    };
    words.to_owned()
}

fn result(entry: &RefPlan, result: &RefResult) -> String {
    match result {
        RefResult::Done { backup } => {
            let side = match entry.step {
                Step::UpdateLocal { .. } | Step::DeleteLocal { .. } => "left",
                _ => "right",
            };
            let verb = match entry.step {
                Step::DeleteLocal { .. } | Step::DeleteRemote { .. } => "deleted on the",
                Step::UpdateLocal { .. } if entry.local.is_none() => "created on the",
                Step::UpdateRemote { .. } if entry.remote.is_none() => "created on the",
                _ => "updated on the",
            };
            let kept =
                backup.as_ref().map(|name| format!("; what was there: {}", Printable(name.as_bytes())));
            format!("✓  {verb} {side}{}", kept.unwrap_or_default())
        }
        RefResult::Conflict => "!  conflict: left as it is on both sides".to_owned(),
        RefResult::Pending => "·  not done".to_owned(),
        RefResult::Failed(failure) => format!("✗  {}", failed(failure)),
        _ => String::new(),
    }
}

/// The words of the other side, without letting them act on the terminal.
fn failed(failure: &RefFailure) -> String {
    match failure {
        RefFailure::Refused { reason } => format!("refused: {}", Printable(reason)),
        RefFailure::Backup { reason } => format!("left alone, its backup was refused: {}", Printable(reason)),
        other => other.to_string(),
    }
}

fn print_table<const N: usize>(heads: &[&str; N], rows: &[[String; N]]) {
    let mut widths = heads.map(|head| head.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        print(&format!("  {}\n", padded.collect::<Vec<_>>().join("  ").trim_end()));
    };
    line(heads);
    let rules = widths.map(|width| "─".repeat(width));
    line(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Prints; an output that is closed is no reason to leave a sync half done.
pub fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
