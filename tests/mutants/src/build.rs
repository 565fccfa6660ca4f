//! Rewrites `src/` with every mutant in it and builds it: what the compiler does not take goes, until it takes the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Result;
use crate::locate::{Left, locate};
use crate::mutant::{Genre, Mutant, Source};
use crate::render::{Region, render};
use crate::tree;

/// Where the project, its copy and the results are.
pub struct Folders {
    pub project: PathBuf,
    pub copy: PathBuf,
    /// What stays from one invocation to the next.
    pub state: PathBuf,
}

impl Folders {
    /// Cargo in the copy: everything with the same settings, or it would be built twice.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        self.settings(&mut command);
        command
    }

    /// The settings by themselves, for programs that call cargo.
    pub fn settings(&self, command: &mut Command) {
        command
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", self.state.join("build"))
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TERM_COLOR", "never")
            // Half of what a mutant leaves behind is unused or always the same.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .env("PORTLINE_MUTANT", "");
    }
}

/// What was found out about the build so far.
#[derive(Default)]
pub struct Schemata {
    /// Mutants that do not compile, by name.
    pub unviable: BTreeSet<String>,
    /// Functions that constants call.
    constant: BTreeSet<String>,
    /// Mutants that cannot stand in one build with the others.
    pub left: BTreeMap<u32, Left>,
    regions: BTreeMap<String, Vec<Region>>,
    unconst: BTreeSet<String>,
}

/// A test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
}

impl Schemata {
    /// Starts from what an earlier invocation found out.
    pub fn open(folders: &Folders) -> Self {
        let text = fs::read(folders.state.join("compiler.json")).unwrap_or_default();
        let told: Value = serde_json::from_slice(&text).unwrap_or_default();
        let names = |of: &str| {
            let names = told[of].as_array().map(Vec::as_slice).unwrap_or_default();
            names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self { unviable: names("unviable"), constant: names("constant"), ..Self::default() }
    }

    fn save(&self, folders: &Folders) -> Result<()> {
        let told = json!({ "unviable": self.unviable, "constant": self.constant });
        Ok(fs::write(folders.state.join("compiler.json"), told.to_string())?)
    }

    /// Builds all test programs with all mutants in them.
    pub fn build(&mut self, folders: &Folders, mutants: &[Mutant]) -> Result<Vec<Program>> {
        loop {
            self.write(folders, mutants)?;
            // Types first: no code is made for what does not compile; and the tests may have constants, too.
            let library = ["check", "--package", "portline", "--lib", "--message-format=json"];
            let check = [
                "check",
                "--package=portline",
                "--tests",
                "--examples",
                "--keep-going",
                "--message-format=json",
            ];
            let test = ["test", "--package", "portline", "--no-run", "--message-format=json"];
            let mut errors = Vec::new();
            for arguments in [&library[..], &check, &test] {
                let messages = messages(folders.cargo().args(arguments))?;
                errors = messages
                    .iter()
                    .filter(|told| is_error(told))
                    .map(|told| told["message"].clone())
                    .collect();
                if !errors.is_empty() {
                    break;
                }
                if arguments == test {
                    return Ok(messages.iter().filter_map(program).collect());
                }
            }
            let before = self.unviable.len() + self.constant.len();
            for error in &errors {
                self.blame(error, mutants);
            }
            let found = self.unviable.len() + self.constant.len() - before;
            eprintln!(
                "{} errors of the compiler: {found} mutants dropped or functions left constant",
                errors.len()
            );
            if found == 0 {
                let words: Vec<_> =
                    errors.iter().take(3).filter_map(|error| error["rendered"].as_str()).collect();
                return Err(format!("no mutant is to blame for this:\n{}", words.join("\n")).into());
            }
            self.save(folders)?;
        }
    }

    /// The copy, with the mutants that are not known to be unviable.
    pub fn write(&mut self, folders: &Folders, mutants: &[Mutant]) -> Result<()> {
        let mut files: BTreeMap<PathBuf, Vec<&Mutant>> = BTreeMap::new();
        for file in tree::walk(&folders.project.join("src"))? {
            files.insert(file.strip_prefix(&folders.project)?.to_owned(), Vec::new());
        }
        for mutant in mutants.iter().filter(|mutant| !self.unviable.contains(&mutant.name)) {
            files.entry((&mutant.file).into()).or_default().push(mutant);
        }
        files.remove(Path::new("src/lib.rs"));
        let mut rendered = Vec::new();
        (self.left, self.unconst, self.regions) = Default::default();
        for (file, mutants) in files {
            let text = fs::read_to_string(folders.project.join(&file))?;
            let located = locate(&Source::new(&text), &mutants, &self.constant)?;
            self.left.extend(located.left);
            self.unconst.extend(located.unconst);
            let done = render(&text, located.edits);
            self.regions.insert(file.display().to_string(), done.regions);
            rendered.push((file, done.text));
        }
        // The switch needs an environment and a file; with `std` in scope, more of the mutants compile, too.
        let library = fs::read_to_string(folders.project.join("src/lib.rs"))?;
        let library = library.replace("#![no_std]\n", "\n") + "\nmod mutation;\n";
        rendered.push(("src/lib.rs".into(), library));
        let switch = format!("const MUTANTS: usize = {};\n{}", mutants.len(), include_str!("switch.rs"));
        rendered.push(("src/mutation.rs".into(), switch.replace("//!", "//")));
        tree::copy(&folders.project, &folders.copy, &rendered)
    }

    /// Finds the mutant that an error is about, or the function that should have stayed constant.
    fn blame(&mut self, error: &Value, mutants: &[Mutant]) {
        let said = error["message"].as_str().unwrap_or_default();
        if error["code"]["code"] == "E0015" {
            let called = self.unconst.iter().filter(|name| calls(said, name)).cloned().collect::<Vec<_>>();
            if !called.is_empty() {
                self.constant.extend(called);
                return;
            }
        }
        let mut spans = spans(error);
        spans.sort_by_key(|span| !span.primary);
        if error["code"]["code"] == "E0004" {
            self.blame_arms(&spans, mutants);
            return;
        }
        let inside =
            |region: &Region, span: &Span| region.own.start < span.end && span.start < region.own.end;
        let whole =
            |region: &Region, span: &Span| region.whole.start <= span.start && span.end <= region.whole.end;
        for hit in [&inside as &dyn Fn(&Region, &Span) -> bool, &whole] {
            for span in &spans {
                let regions = self.regions.get(&span.file).map(Vec::as_slice).unwrap_or_default();
                let hits: Vec<_> = regions.iter().filter(|region| hit(region, span)).collect();
                // Of choices that stand inside of each other, the smallest.
                let size = |region: &Region| region.whole.end - region.whole.start;
                if let Some(least) = hits.iter().map(|region| size(region)).min() {
                    let numbers =
                        hits.iter().filter(|region| size(region) == least).map(|region| region.number);
                    self.unviable.extend(numbers.map(|number| mutants[number as usize].name.clone()));
                    return;
                }
            }
        }
    }

    /// A match in which something is missing has no wildcard but one with a guard: none of its arms can go. The error
    /// points to what is matched, and its help to behind the last arm.
    fn blame_arms(&mut self, spans: &[Span], mutants: &[Mutant]) {
        let Some(matched) = spans.iter().find(|span| span.primary) else { return };
        let inside = spans.iter().filter(|span| span.file == matched.file);
        let end = inside.map(|span| span.end).max().unwrap_or(matched.end);
        for region in self.regions.get(&matched.file).into_iter().flatten() {
            let mutant = &mutants[region.number as usize];
            if mutant.genre == Genre::MatchArm && (matched.start..end).contains(&region.own.start) {
                self.unviable.insert(mutant.name.clone());
            }
        }
    }
}

/// Whether an error's words name a function: with its path, and what that is generic over, or without.
fn calls(said: &str, name: &str) -> bool {
    said.split('`').skip(1).step_by(2).any(|path| {
        let (mut plain, mut depth) = (String::new(), 0_usize);
        for letter in path.chars() {
            depth += usize::from(letter == '<');
            if depth == 0 {
                plain.push(letter);
            }
            depth -= usize::from(letter == '>');
        }
        let plain = plain.replace("::::", "::");
        plain == name || plain.ends_with(&format!("::{name}"))
    })
}

struct Span {
    file: String,
    start: usize,
    end: usize,
    primary: bool,
}

/// Every place that a diagnostic and its notes speak of.
fn spans(told: &Value) -> Vec<Span> {
    let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
    let number = |of: &Value| of.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    let mut found: Vec<_> = list(&told["spans"])
        .iter()
        .map(|span| Span {
            file: span["file_name"].as_str().unwrap_or_default().to_owned(),
            start: number(&span["byte_start"]),
            end: number(&span["byte_end"]),
            primary: span["is_primary"] == true,
        })
        .collect();
    for child in list(&told["children"]) {
        found.extend(spans(&child).into_iter().map(|span| Span { primary: false, ..span }));
    }
    found
}

fn messages(command: &mut Command) -> Result<Vec<Value>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    Ok(output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}

fn is_error(told: &Value) -> bool {
    let summary = told["message"]["message"].as_str().is_some_and(|said| said.starts_with("aborting due to"));
    told["reason"] == "compiler-message" && told["message"]["level"] == "error" && !summary
}

fn program(told: &Value) -> Option<Program> {
    let path = Path::new(told["executable"].as_str()?).to_owned();
    let test = told["profile"]["test"] == true;
    let library = told["target"]["kind"][0] == "lib";
    let name = if library { "--lib" } else { told["target"]["name"].as_str()? };
    test.then(|| Program { name: name.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn a_function_is_told_by_its_type_and_its_name() {
        let said =
            "cannot call non-const associated function `portline::Map::<u8, Vec<u8>>::new` in constants";
        assert!(calls(said, "Map::new"));
        assert!(!calls(said, "Set::new"));
        assert!(!calls(said, "ap::new"));
        assert!(calls("cannot call non-const function `limit` in statics", "limit"));
    }
}
