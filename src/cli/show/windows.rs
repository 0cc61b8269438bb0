//! Counts over time: as bars for eyes, as columns for other programs.

use std::fmt::Write as _;

use crate::client::Windows;

/// From a little to the most. A blank is none at all.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A line of bars, no wider than `width`: neighbouring steps share a bar where there are more.
pub fn bars(windows: &Windows, width: usize) -> String {
    let (sums, steps_per_bar) = sums(windows, width.max(1));
    let most = sums.iter().copied().max().unwrap_or(0);
    let line: String = sums.iter().map(|sum| bar(*sum, most)).collect();
    let bar_s = windows.step_s.saturating_mul(steps_per_bar);
    format!("\n{} to {}, {bar_s} s a bar, at most {most}\n{line}\n", windows.since, windows.until)
}

/// A line for each step that the server told.
pub fn columns(windows: &Windows) -> String {
    let mut lines = format!(
        "\n{} to {}, {} s a step\n{:<24} {:>10}\n",
        windows.since, windows.until, windows.step_s, "START", "COUNT"
    );
    for point in &windows.points {
        let _ = writeln!(lines, "{:<24} {:>10}", point.start.to_string(), point.count);
    }
    lines
}

/// Counts in at most `bars_max` even stretches, and how many steps are in one.
fn sums(windows: &Windows, bars_max: usize) -> (Vec<u64>, u64) {
    let step_ms = windows.step_s.saturating_mul(1000).max(1);
    let offset = |millis: i64| u64::try_from(millis - windows.since.millis()).unwrap_or(0);
    let steps = offset(windows.until.millis()).div_ceil(step_ms).max(1);
    let steps_per_bar = steps.div_ceil(bars_max as u64);
    let bars = usize::try_from(steps.div_ceil(steps_per_bar)).unwrap_or(bars_max);
    let mut sums = vec![0_u64; bars];
    for point in &windows.points {
        let at = offset(point.start.millis()) / step_ms / steps_per_bar;
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(bars - 1);
        sums[at] = sums[at].saturating_add(point.count);
    }
    (sums, steps_per_bar)
}

fn bar(sum: u64, most: u64) -> char {
    if sum == 0 || most == 0 {
        return ' ';
    }
    let height = (u128::from(sum) * BARS.len() as u128).div_ceil(u128::from(most));
    BARS[usize::try_from(height).unwrap_or(BARS.len()).clamp(1, BARS.len()) - 1]
}

#[cfg(test)]
mod tests {
    use errsift_ops::timestamp::Timestamp;

    use super::*;
    use crate::client::Point;

    fn windows(counts: &[(i64, u64)], steps: i64) -> Windows {
        let at = |step: i64| Timestamp::from_millis(step * 30_000);
        let points =
            counts.iter().map(|(step, count)| Point { start: at(*step), count: *count }).collect();
        Windows { since: at(0), until: at(steps), step_s: 30, points }
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        let counts = [(0, 1), (1, 2), (3, 4), (4, 8), (5, 7), (7, 100)];
        assert_eq!(
            bars(&windows(&counts[..5], 8), 80),
            "\n1970-01-01T00:00:00.000Z to 1970-01-01T00:04:00.000Z, 30 s a bar, at most 8\n\
             ▁▂ ▄█▇  \n"
        );
        // four bars of two steps; what lies outside goes to the edge
        assert_eq!(
            bars(&windows(&[(0, 1), (1, 1), (7, 4), (99, 4)], 8), 4),
            "\n1970-01-01T00:00:00.000Z to 1970-01-01T00:04:00.000Z, 60 s a bar, at most 8\n\
             ▂  █\n"
        );
        assert!(bars(&windows(&[], 0), 0).ends_with("at most 0\n \n"));
    }

    #[test]
    fn columns_are_the_servers_points() {
        assert_eq!(
            columns(&windows(&[(0, 1), (2, 12)], 4)),
            "\n1970-01-01T00:00:00.000Z to 1970-01-01T00:02:00.000Z, 30 s a step\n\
             START                         COUNT\n\
             1970-01-01T00:00:00.000Z          1\n\
             1970-01-01T00:01:00.000Z         12\n"
        );
    }
}
