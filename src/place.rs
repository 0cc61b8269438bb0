//! Where this process runs, and whether another is still there, as `/proc` tells it.

use std::fs;

use errsift_pipeline::ports::holder::Place;

/// Names are cut to this many characters: they go into the journal every second.
const NAME_CHARACTERS_MAX: usize = 255;

/// This process. What the system does not tell stays empty, and then nobody can tell that this
/// process is gone but by its mark running out.
pub fn this() -> Place {
    let pid = std::process::id();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let started = match state(pid) {
        State::Runs { started } => started,
        State::Gone | State::Untold => 0,
    };
    Place { host: cut(host.trim()), pid_space: pid_space().unwrap_or_default(), pid, started }
}

/// Whether the process at `place` certainly does not run any more. One of another machine, of an
/// earlier boot or of another container cannot be seen from here.
pub fn is_gone(place: &Place) -> bool {
    let visible = !place.pid_space.is_empty() && Some(&place.pid_space) == pid_space().as_ref();
    visible
        && match state(place.pid) {
            State::Gone => true,
            // a number that is used again, this process's too
            State::Runs { started } => started != place.started,
            State::Untold => false,
        }
}

/// One boot of one machine, and one space of process numbers in it.
fn pid_space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(cut(&format!("{} {}", boot.trim(), space.display())))
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARACTERS_MAX).collect()
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It runs, or is stopped and may run again.
    Runs {
        /// In clock ticks since boot.
        started: u64,
    },
    Gone,
    Untold,
}

fn state(pid: u32) -> State {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => parse(&stat),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::Gone,
        Err(_) => State::Untold,
    }
}

/// `pid (name) state … starttime …`, see `proc_pid_stat(5)`: the state is field 3, the start field 22.
/// The name may hold anything, brackets and blanks too.
fn parse(stat: &str) -> State {
    let Some((_, fields)) = stat.rsplit_once(')') else { return State::Untold };
    let mut fields = fields.split_ascii_whitespace();
    match (fields.next(), fields.nth(18).and_then(|started| started.parse().ok())) {
        // killed, and nobody has asked for its exit code yet
        (Some("Z" | "X"), _) => State::Gone,
        (Some(_), Some(started)) => State::Runs { started },
        _ => State::Untold,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let of = |name: &str, state: &str| parse(&format!("9 ({name}) {state} {rest}"));
        assert_eq!(of("errsift", "S"), State::Runs { started: 4711 });
        assert_eq!(of("a) Z (b", "T"), State::Runs { started: 4711 });
        assert_eq!(of("errsift", "Z"), State::Gone);
        assert_eq!(parse("9 (errsift) S 1 2"), State::Untold);
        assert_eq!(parse(""), State::Untold);
    }

    #[test]
    fn a_process_is_gone_when_it_has_ended() {
        let here = this();
        assert!(!here.pid_space.is_empty(), "tests run on Linux");
        assert!(!is_gone(&here), "it is this very process");
        // the number is in use, but by another than the mark's
        assert!(is_gone(&Place { started: here.started + 1, ..here.clone() }));
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let State::Runs { started } = state(child.id()) else { panic!("it waits for its input") };
        let there = Place { pid: child.id(), started, ..here };
        assert!(!is_gone(&there));
        // of another machine or boot: nobody knows
        let elsewhere =
            |pid_space: &str| Place { pid_space: pid_space.to_owned(), ..there.clone() };
        child.kill().unwrap();
        // not reaped yet
        while state(child.id()) != State::Gone {
            std::thread::yield_now();
        }
        assert!(is_gone(&there));
        child.wait().unwrap();
        assert!(is_gone(&there));
        assert!(!is_gone(&elsewhere("another boot")));
        assert!(!is_gone(&elsewhere("")));
    }
}
