//! What the bench programs have in common: how they begin, how long they measure, and where their figures go.
#![allow(dead_code, reason = "no bench uses all of it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use criterion::Criterion;

/// A bench of criterion.
pub(crate) fn run(targets: &[fn(&mut Criterion)]) {
    steady();
    // Shorter than criterion's own: one row of the table takes seconds, and `cargo bench` minutes.
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
        .nresamples(10_000)
        .without_plots()
        .configure_from_args();
    for target in targets {
        target(&mut criterion);
    }
    criterion.final_summary();
}

/// A bench that counts for itself: whether it is to run. `cargo test --benches` only starts it.
pub(crate) fn begin() -> bool {
    let wanted = env::args().any(|argument| argument == "--bench");
    if wanted {
        steady();
    }
    wanted
}

/// Starts this program anew, unless it was, with a memcpy that takes the same time wherever source and target lie.
///
/// glibc copies 64 KiB with `rep movsb`, which takes up to twenty times as long on some processors, depending on how
/// the two lie to each other. What is compared here copies alike, and is to be compared, so without that. glibc reads
/// its tunables when a process starts, so that setting them is not enough; in Cargo's configuration they would hold for
/// the tests as well.
fn steady() {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
    if env::var_os("GLIBC_TUNABLES").is_none() {
        use std::os::unix::process::CommandExt;
        let Ok(program) = env::current_exe() else { return };
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1));
        let error = command.env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1000000000").exec();
        eprintln!("measured with whatever memcpy there is: {error}");
    }
}

/// `target/criterion`, where criterion keeps its results.
pub(crate) fn results() -> PathBuf {
    match env::var_os("CRITERION_HOME") {
        Some(home) => home.into(),
        None => target().join("criterion"),
    }
}

/// The target folder that this program was built in.
pub(crate) fn target() -> &'static Path {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary)
}

/// The repositories of `benches/fixture.sh`, built when they are not there yet; `None` where that is not possible.
pub(crate) fn fixture() -> Option<PathBuf> {
    let folder = target().join("fixture");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixture.sh");
    let built = Command::new("bash").arg(script).arg(&folder).status();
    built.is_ok_and(|status| status.success()).then_some(folder)
}

/// Figures that are not criterion's, for the table.
#[derive(Default)]
pub(crate) struct Figures(String);

impl Figures {
    /// What someone needs for a row: in the unit of the row, see `table/rows.rs`.
    pub(crate) fn add(&mut self, work: &str, who: &str, figure: f64) {
        writeln!(self.0, "{work}|{who}|{figure}").unwrap_or_default();
    }

    /// Replaces those of the last run of this bench.
    pub(crate) fn save(&self, bench: &str) {
        let folder = results().join("figures");
        let file = folder.join(bench);
        if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, &self.0)) {
            eprintln!("{}: {error}: the table will lack these figures", file.display());
        }
    }
}
