//! The program around the loop: the only part with an operating system, and it only prints.
//!
//! ```text
//! cargo run --release -- [BYTES]
//! ```

use std::process::ExitCode;

use drive_embedded::{BAUD, HEAP_SIZE, run};

fn main() -> ExitCode {
    let size = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => 200_000,
        Some(Ok(size)) => size,
        Some(Err(_)) => {
            eprintln!(
                "usage: drive_embedded [BYTES]   (200000 when left out; a second carries about 11,000)"
            );
            return ExitCode::from(2);
        }
    };
    match run(size) {
        Ok(report) => {
            let [there, back] = report.carried;
            println!("{} bytes arrived as they were sent, over {BAUD} baud", report.bytes);
            println!("{} ticks of 1 ms: {}.{:03} s", report.ticks, report.ticks / 1000, report.ticks % 1000);
            println!("{there} bytes on the line there, {back} back");
            println!("at most {} of {HEAP_SIZE} bytes of the heap in use", report.heap_peak);
            let [before, after] = report.heap_used;
            println!("{before} bytes in use before, {after} after");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("drive_embedded: {failure:?}. This is a fault of the program: please report it.");
            ExitCode::FAILURE
        }
    }
}
