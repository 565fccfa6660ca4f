//! The survivors, and the score of each file, each module and all.

use std::collections::BTreeMap;

use crate::build::Schemata;
use crate::locate::Left;
use crate::mutant::Mutant;
use crate::results::Outcome;

#[derive(Default)]
struct Count {
    caught: usize,
    missed: usize,
    unreached: usize,
    unviable: usize,
    left: usize,
    open: usize,
}

/// Prints what became of `mutants`; whether one of them survived.
pub fn print(mutants: &[&Mutant], schemata: &Schemata, outcome: impl Fn(&Mutant) -> Option<Outcome>) -> bool {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut survivors = false;
    for mutant in mutants {
        let became = outcome(mutant);
        let left = schemata.left.get(&mutant.number);
        for row in [mutant.file.clone(), module(&mutant.file), "~ all".to_owned()] {
            let count = counts.entry(row).or_default();
            *match became {
                _ if schemata.unviable.contains(&mutant.name) => &mut count.unviable,
                _ if left.is_some() => &mut count.left,
                Some(Outcome::Caught | Outcome::Stopped) => &mut count.caught,
                Some(Outcome::Survived) => &mut count.missed,
                Some(Outcome::Unreached) => &mut count.unreached,
                None => &mut count.open,
            } += 1;
        }
        if let Some(why) = left {
            println!("{}: {}", words(*why), mutant.name);
        } else if became.is_some_and(|became| !became.is_caught())
            && !schemata.unviable.contains(&mutant.name)
        {
            survivors = true;
            let kind = if became == Some(Outcome::Unreached) { "unreached" } else { "survivor" };
            println!("{kind}: {}", mutant.name);
        }
    }
    println!("{:44} caught  of all   score  unreached  unviable  left out  to run", "");
    for (file, count) in &counts {
        let all = count.caught + count.missed + count.unreached;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let score = if all == 0 { 100.0 } else { 100.0 * count.caught as f64 / all as f64 };
        println!(
            "{:44} {:6} {:7} {score:6.1}% {:10} {:9} {:9} {:7}",
            file.trim_start_matches("~ "),
            count.caught,
            all,
            count.unreached,
            count.unviable,
            count.left,
            count.open
        );
    }
    survivors
}

/// The folder of a file, with a slash.
fn module(file: &str) -> String {
    file.rfind('/').map_or_else(String::new, |at| file[..=at].to_owned())
}

const fn words(why: Left) -> &'static str {
    match why {
        Left::Constant => "computed by the compiler",
        Left::Opaque => "its type has no name",
        Left::NotFound => "not found",
    }
}
