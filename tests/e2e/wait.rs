//! Waiting for what must come, without saying how fast.

use std::{
    thread,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(50);

/// For what a server does by itself within a second or so: generous, because machines are loaded.
pub const SOON: Duration = Duration::from_secs(30);

/// Asks until there is an answer. Panics after `deadline` with what was wanted and `last`, which
/// says how things stood.
pub fn until<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) => assert!(Instant::now() < end, "waited {deadline:?} for {what}: {last}"),
        }
        thread::sleep(POLL);
    }
}

/// Asks until it is so.
pub fn until_true(what: &str, mut ask: impl FnMut() -> bool) {
    until(what, SOON, || if ask() { Ok(()) } else { Err("not yet".to_owned()) });
}
