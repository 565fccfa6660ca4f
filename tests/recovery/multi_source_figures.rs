//! What several sources are worth beside one: three, of which one is ten times slower and one dies half way. In the
//! simulation's time; `--nocapture` prints the table.

use crate::sources::{Site, World, branches};
use crate::toy::id;
use portline::peer::multi_source::Config;

/// 200 branches of very different sizes, 10 MB in all, on top of what they have in common; and one commit that joins
/// them all, for a fetch that cannot be divided.
fn world(sites: Vec<Site>, common: usize, joined: bool) -> World {
    let (mut repo, tips) = branches(1, 200, 1);
    let numbers: Vec<u64> = (0..200).map(|branch| 1_000_000 + branch * 1000).collect();
    let all = repo.commit(5_000_000, &numbers);
    let sites = sites.into_iter().map(|mut site| {
        site.repo = repo.clone();
        if joined {
            site.repo.set("all", 5_000_000);
        }
        site
    });
    let sites = sites.collect();
    let mut world = World::new(Config::default(), sites, if joined { vec![all] } else { tips });
    world.weights = (0..200).map(|unit| (id(numbers[unit]), 5_000 + unit * 7919 % 200 * 450)).collect();
    world.weights.insert(id(1), common);
    world
}

/// A megabyte a second, 50 ms there and back.
fn site(rate: u64) -> Site {
    Site::new(crate::toy::Repo::default()).rate(rate)
}

/// Milliseconds and bytes.
fn figures(who: &str, world: World) -> (u64, u64) {
    let total: usize = world.weights.values().sum();
    let world = world.run();
    world.judge();
    let outcome = world.end.as_ref().unwrap().as_ref().unwrap();
    let per_cent = world.bytes as f64 * 100.0 / total as f64;
    println!("{who:<62} {:>6} ms  {:>5.1} % of the bytes", world.millis(), per_cent);
    if outcome.sources.len() > 1 {
        for (index, source) in outcome.sources.iter().enumerate() {
            let causes: Vec<String> = source.attempts.iter().map(|one| one.cause.to_string()).collect();
            let (units, bytes, busy) = (source.work.units, source.work.bytes, source.work.busy);
            println!(
                "    source {index}: {units:>3} wants, {bytes:>8} bytes, busy {busy:?}; failed: {causes:?}"
            );
        }
    }
    (world.millis(), world.bytes)
}

/// SHARES-3, SHARES-5, SHARES-6.
#[test]
fn shares_6_three_unequal_sources_are_quicker_than_one() {
    for common in [0, 5_000_000] {
        println!("200 branches, 10 MB, and {common} bytes in common; 1 MB/s, 50 ms there and back");
        let (plain, bytes) =
            figures("one source, one session for all of it", world(vec![site(1000)], common, true));
        let (alone, _) = figures("one source, in shares", world(vec![site(1000)], common, false));
        let two = world(vec![site(1000), site(1000)], common, false);
        let (half, _) = figures("two sources", two);
        // Half way of what it had to do: a quarter of all that can be divided.
        let dies = common as u64 / 1000 + (plain - common as u64 / 1000) / 4;
        let three = || vec![site(1000), site(100), site(1000).dies(dies)];
        let (three_of, came) =
            figures("three: 1 MB/s, 0.1 MB/s, 1 MB/s that dies half way", world(three(), common, false));
        assert!(alone * 100 < plain * 130, "{alone} of {plain}");
        let (half_limit, limit) = if common == 0 { (70, 95) } else { (85, 100) };
        assert!(half * 100 < plain * half_limit, "{half} of {plain}");
        assert!(three_of * 100 < plain * limit, "{three_of} of {plain}");
        assert!(came * 100 < bytes * 112, "{came} of {bytes}");
    }
}
