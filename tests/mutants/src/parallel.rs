//! A few workers on one list.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Result;

/// Calls `work` with the worker's number and each item, in their order, on so many threads. The first error ends it.
pub fn each<T: Sync>(
    workers: usize,
    items: &[T],
    work: impl Fn(usize, &T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Result<()>> = Mutex::new(Ok(()));
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, failed, work) = (&next, &failed, &work);
            scope.spawn(move || {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(worker, item) {
                        next.store(items.len(), Ordering::Relaxed);
                        if let Ok(mut failed) = failed.lock() {
                            *failed = Err(error);
                        }
                    }
                }
            });
        }
    });
    failed.into_inner()?
}
