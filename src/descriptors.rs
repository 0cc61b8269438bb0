//! File descriptors: as many as the system gives, and no more connections than there are.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the admin listener, the stores and the files take beside the connections.
const RESERVE: u64 = 512;

/// Raises the process's soft limit to its hard one, and says how many connections fit below it; at
/// most `wanted`.
pub fn connections(wanted: u32) -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(fault) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::debug!(%fault, "the limit of descriptors stays");
    }
    let Some(limit) = getrlimit(Resource::Nofile).current else { return wanted };
    let fit = fitting(limit, wanted);
    if fit < wanted {
        tracing::warn!(
            limit,
            connections = fit,
            "fewer connections than {wanted}, for want of descriptors: ulimit -n, LimitNOFILE"
        );
    }
    fit
}

/// Of a small limit half is for connections.
fn fitting(limit: u64, wanted: u32) -> u32 {
    let fit = limit.saturating_sub(RESERVE).max(limit / 2);
    u32::try_from(fit).unwrap_or(wanted).clamp(1, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room() {
        for (limit, connections) in [
            (1_048_576, 10_000),
            (20_000, 10_000),
            (4_096, 3_584),
            (1_024, 512),
            (256, 128),
            (0, 1),
        ] {
            assert_eq!(fitting(limit, 10_000), connections, "{limit}");
        }
    }
}
