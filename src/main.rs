//! The `errsift` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What one thread makes and another drops, such as words, goes back to the system, and the heaps of
/// threads do not grow page by page. `docs/performance.md` has the measurement.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _obeyed = errsift_pipeline::failpoints::obey();
    errsift::cli::run()
}
