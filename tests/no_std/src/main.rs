//! Exchanges over portline's machines with nothing underneath: its own entry point, allocator, panic handler and
//! memory functions. Exits 0 when every exchange went as it should, with the number of the step that did not
//! otherwise (100: a panic).
#![no_std]
#![no_main]

extern crate alloc;

mod bare;
mod exchange;
mod link;
mod port;

/// What `_start` calls, on an aligned stack.
#[unsafe(no_mangle)]
extern "C" fn run() -> ! {
    bare::exit(match exchange::all() {
        Ok(()) => 0,
        Err(step) => step,
    })
}
