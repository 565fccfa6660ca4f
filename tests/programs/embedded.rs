//! The driver without an operating system (`examples/drive_embedded`): a file over two serial lines, within its heap.

use std::process::Command;

use crate::freestanding::Package;

const EMBEDDED: Package = Package { folder: "examples/drive_embedded", name: "drive_embedded" };

/// The numbers of a line of the embedded program's output that begins or ends as said.
fn numbers(output: &str, words: &str) -> Vec<u64> {
    let line = output.lines().find(|line| line.contains(words)).unwrap();
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn ends_within_its_heap_and_at_the_pace_of_its_line() {
    let program = EMBEDDED.build(&[]);
    for size in [0, 1, 257, 200_000] {
        let output = Command::new(&program).arg(size.to_string()).output().unwrap();
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{size} bytes: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(numbers(&text, "bytes arrived as they were sent"), [size, 115_200]);
        let (ticks, there) = (numbers(&text, "ticks of 1 ms")[0], numbers(&text, "on the line")[0]);
        // Start, eight bits and stop: 11.52 bytes a millisecond, and the line is never idle for long.
        let least = there * 10_000 / 115_200;
        assert!(
            ticks >= least && ticks <= least + least / 50 + 10,
            "{ticks} ticks, {least} at least\n{text}"
        );
        let heap = numbers(&text, "of the heap in use");
        assert!(heap[0] <= 16 << 10 && heap[1] == 64 << 10, "more than a quarter of the heap\n{text}");
        let [before, after] = numbers(&text, "in use before")[..] else { panic!("{text}") };
        assert_eq!(before, after, "everything was given back");
    }
}

#[test]
fn its_lock_file_agrees_with_the_crates() {
    EMBEDDED.check_lock_file();
}
