//! Put into the copy as `src/mutation.rs`, behind a line that says how many MUTANTS there are: which of them is
//! switched on, and, when that is asked instead, which of them a run came by.
//!
//! `PORTLINE_MUTANT=17` switches one on; `PORTLINE_MUTANT=seen:PATH` appends the number of each mutant that is asked for
//! to a file, once a process. Child processes inherit it and do the same.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const NONE: u32 = u32::MAX;
const RECORD: u32 = u32::MAX - 1;
const UNREAD: u32 = u32::MAX - 2;

static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static SEEN: [AtomicU64; MUTANTS / 64 + 1] = [const { AtomicU64::new(0) }; MUTANTS / 64 + 1];
static FILE: OnceLock<File> = OnceLock::new();

/// Whether a mutant is switched on.
#[inline]
pub fn on(number: u32) -> bool {
    let active = ACTIVE.load(Ordering::Relaxed);
    // Most often there is one, and it is another one.
    active == number || (active >= UNREAD && active != NONE && seldom(number, active))
}

#[cold]
#[inline(never)]
fn seldom(number: u32, active: u32) -> bool {
    let active = if active == UNREAD { read() } else { active };
    if active == RECORD {
        see(number);
    }
    active == number
}

fn read() -> u32 {
    let variable = std::env::var("PORTLINE_MUTANT").unwrap_or_default();
    let active = match variable.strip_prefix("seen:") {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path).expect("the file of what is seen");
            drop(FILE.set(file));
            RECORD
        }
        None => variable.parse().unwrap_or(NONE),
    };
    ACTIVE.store(active, Ordering::Relaxed);
    active
}

fn see(number: u32) {
    let (word, bit) = (&SEEN[number as usize / 64], 1 << (number % 64));
    if word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        // One write a line: several threads and processes append to one file.
        let line = std::format!("{number}\n");
        FILE.get().expect("opened before").write_all(line.as_bytes()).expect("what is seen is written");
    }
}
