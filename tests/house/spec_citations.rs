//! Every rule of `spec/` is cited by a test, and every citation names a rule that exists.
//!
//! A rule is a line that begins `- **PORT-7**`. A test cites it as `PORT-7` in a comment or text, or by a name
//! such as `port_7_an_early_ack`. Tests are the files under `tests/` and `examples/async/tests/`,
//! and the `#[cfg(test)]` parts of `src/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A rule's id: the chapter's prefix and the number.
type Id = (String, u32);

/// Where something stands: file and line.
type Place = (PathBuf, usize);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

/// The id in `- **PORT-7** …`.
fn rule_of(line: &str) -> Option<Id> {
    let (id, _) = line.strip_prefix("- **")?.split_once("**")?;
    let (prefix, number) = id.split_once('-')?;
    let is_prefix =
        !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_prefix)?;
    Some((prefix.to_owned(), number))
}

/// The number at the start of `text`, if no further word character follows it (`_` may, in a test's name).
fn number_at(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !text[digits..].starts_with(|c: char| c.is_alphanumeric());
    text[..digits].parse().ok().filter(|_| ends)
}

/// Every id with one of `prefixes` that `line` cites, `PORT-7` and `fn port_7_…` alike.
fn cited_in(line: &str, prefixes: &BTreeSet<String>) -> Vec<Id> {
    let mut ids = Vec::new();
    for prefix in prefixes {
        let in_text = format!("{prefix}-");
        let in_name = format!("fn {}_", prefix.to_lowercase());
        for (needle, is_name) in [(in_text, false), (in_name, true)] {
            for (at, _) in line.match_indices(&needle) {
                let starts = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
                let rest = &line[at + needle.len()..];
                if let Some(number) = number_at(rest).filter(|_| starts) {
                    ids.push((prefix.clone(), number));
                    // `fetch_1_2_…` names both rules.
                    if is_name {
                        let numbers = rest.split('_').skip(1).map_while(|part| part.parse().ok());
                        ids.extend(numbers.map(|number| (prefix.clone(), number)));
                    }
                }
            }
        }
    }
    ids
}

/// The rules of all chapters with their places; chapters, order and uniqueness are checked on the way.
fn rules() -> (BTreeMap<Id, Place>, Vec<String>) {
    let mut rules = BTreeMap::new();
    let mut wrong = Vec::new();
    for (file, text) in files("spec", "md") {
        let mut last = BTreeMap::<String, u32>::new();
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
            let place = format!("{}:{number}", file.display());
            let Some((prefix, rule)) = rule_of(line) else {
                if line.starts_with("- **") && line.contains("-**") {
                    wrong.push(format!("{place}: not a rule id"));
                }
                continue;
            };
            if last.insert(prefix.clone(), rule).is_some_and(|before| before >= rule) {
                wrong.push(format!("{place}: {prefix}-{rule} is out of order"));
            }
            if let Some((file, line)) = rules.insert((prefix.clone(), rule), (file.clone(), number)) {
                wrong.push(format!("{place}: {prefix}-{rule} stands in {}:{line} too", file.display()));
            }
        }
        // A chapter that is only a heading is a place kept for later; anything more has rules.
        let is_written = text.lines().filter(|line| !line.trim().is_empty()).count() > 1;
        if last.is_empty() && is_written {
            wrong.push(format!("{}:1: a chapter without a numbered rule", file.display()));
        }
    }
    (rules, wrong)
}

/// Every citation: by tests (`true`) and by other parts of `src/` (`false`).
fn citations(prefixes: &BTreeSet<String>) -> Vec<(Id, Place, bool)> {
    let mut citations = Vec::new();
    for folder in ["src", "tests", "examples/async/tests"] {
        for (file, text) in files(folder, "rs") {
            // This file's own examples are no citations.
            if file.ends_with("spec_citations.rs") {
                continue;
            }
            let mut in_tests =
                folder != "src" || file.ends_with("tests.rs") || file.ends_with("tests/mod.rs");
            for (number, line) in text.lines().enumerate() {
                in_tests |= line.trim_start().starts_with("#[cfg(test)]");
                for id in cited_in(line, prefixes) {
                    citations.push((id, (file.clone(), number + 1), in_tests));
                }
            }
        }
    }
    citations
}

#[test]
fn every_rule_is_numbered_once_and_in_order() {
    let (_, wrong) = rules();
    assert!(wrong.is_empty(), "spec/:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_rule_is_cited_by_a_test() {
    let (rules, _) = rules();
    let prefixes = rules.keys().map(|(prefix, _)| prefix.clone()).collect();
    let cited: BTreeSet<Id> =
        citations(&prefixes).into_iter().filter(|(_, _, by_test)| *by_test).map(|(id, _, _)| id).collect();
    let uncited: Vec<String> = rules
        .iter()
        .filter(|(id, _)| !cited.contains(*id))
        .map(|((prefix, number), (file, line))| format!("{}:{line}: {prefix}-{number}", file.display()))
        .collect();
    assert!(uncited.is_empty(), "rules that no test cites:\n  {}", uncited.join("\n  "));
}

#[test]
fn every_citation_names_a_rule_that_exists() {
    let (rules, _) = rules();
    let prefixes = rules.keys().map(|(prefix, _)| prefix.clone()).collect();
    let unknown: Vec<String> = citations(&prefixes)
        .iter()
        .filter(|(id, _, _)| !rules.contains_key(id))
        .map(|((prefix, number), (file, line), _)| format!("{}:{line}: {prefix}-{number}", file.display()))
        .collect();
    assert!(unknown.is_empty(), "citations of rules that spec/ does not have:\n  {}", unknown.join("\n  "));
}

#[test]
fn a_citation_is_the_whole_id() {
    let prefixes: BTreeSet<String> = ["PORT".to_owned(), "T".to_owned()].into();
    let found = |line: &str| -> Vec<u32> {
        cited_in(line, &prefixes).into_iter().filter(|id| id.0 == "PORT").map(|id| id.1).collect()
    };
    assert_eq!(found("/// PORT-70, (PORT-7)."), [70, 7]);
    assert_eq!(found("fn port_7_an_ack() {"), [7]);
    assert_eq!(found("fn port_12_13_both() {"), [12, 13]);
    assert_eq!(found("fn port_70() {"), [70]);
    assert_eq!(found("REPORT-7, PORT-7a, fn report_7_x, port_7_in_a_sentence, X-PORT-3"), [0_u32; 0]);
    assert_eq!(rule_of("- **PORT-7** The receiver …"), Some(("PORT".to_owned(), 7)));
    for line in ["- PORT-7", "  - **PORT-7**", "- **Note** that", "- **port-7** x"] {
        assert_eq!(rule_of(line), None);
    }
}
