//! Events per second, from counts at two moments.

use std::{collections::HashMap, time::Duration};

use errsift_ops::timestamp::Timestamp;

use crate::client::{ErrorRow, Raw};

/// An error with its rate.
#[derive(Clone, Debug)]
pub struct Loud {
    /// As the server sent it.
    pub row: Raw<ErrorRow>,
    /// Events per second since the look before; `None` if it was not seen then.
    pub rate: Option<f64>,
}

/// Remembers one look's counts until the next.
#[derive(Debug, Default)]
pub struct Sampler {
    before: Option<Sample>,
}

#[derive(Debug)]
struct Sample {
    counts: HashMap<String, u64>,
    taken: Duration,
    /// The server's time.
    at: Timestamp,
}

impl Sampler {
    /// Notes the rows of a look that was `taken` then, each once, in the order of their first
    /// mention, and says how fast each has grown.
    pub fn sample(
        &mut self,
        rows: Vec<Raw<ErrorRow>>,
        taken: Duration,
        at: Timestamp,
    ) -> Vec<Loud> {
        let mut counts = HashMap::with_capacity(rows.len());
        let mut loud = Vec::with_capacity(rows.len());
        for row in rows {
            let (fingerprint, count) = (row.value.fingerprint.clone(), row.value.count);
            if counts.insert(fingerprint, count).is_some() {
                continue;
            }
            let rate = self.before.as_ref().and_then(|before| before.rate(&row.value, taken));
            loud.push(Loud { row, rate });
        }
        self.before = Some(Sample { counts, taken, at });
        loud
    }
}

impl Sample {
    fn rate(&self, row: &ErrorRow, taken: Duration) -> Option<f64> {
        let seconds = taken.saturating_sub(self.taken).as_secs_f64();
        let before = match self.counts.get(&row.fingerprint) {
            Some(before) => *before,
            // it may have been too quiet to be in the list, unless it is new
            None if row.first_seen.is_some_and(|first| first > self.at) => 0,
            None => return None,
        };
        // counts fall where old windows are given up
        let grown = u32::try_from(row.count.saturating_sub(before)).unwrap_or(u32::MAX);
        (seconds > 0.0).then(|| f64::from(grown) / seconds)
    }
}

/// Puts the fastest first; of equals, the one counted more often.
pub fn by_rate(loud: &mut [Loud]) {
    loud.sort_by(|left, right| {
        let rates = right.rate.unwrap_or(-1.0).total_cmp(&left.rate.unwrap_or(-1.0));
        rates.then(right.row.value.count.cmp(&left.row.value.count))
    });
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn row(fingerprint: &str, count: u64, first_seen_s: i64) -> Raw<ErrorRow> {
        let first = Timestamp::from_millis(first_seen_s * 1000);
        let json =
            format!(r#"{{"fingerprint":"{fingerprint}","count":{count},"first_seen":"{first}"}}"#);
        Raw { value: serde_json::from_str(&json).unwrap(), json }
    }

    fn rates(loud: &[Loud]) -> Vec<(&str, Option<f64>)> {
        loud.iter().map(|loud| (loud.row.value.fingerprint.as_str(), loud.rate)).collect()
    }

    #[test]
    fn rates_are_growth_over_time() {
        let mut sampler = Sampler::default();
        let (second, at) = (Duration::from_secs(1), Timestamp::from_millis(100_000));
        let first = sampler.sample(vec![row("a", 10, 1), row("b", 5, 1)], second, at);
        assert_eq!(rates(&first), [("a", None), ("b", None)]);
        let rows = vec![
            row("a", 14, 1),
            row("b", 3, 1),
            row("old", 9, 1),
            row("new", 6, 101),
            row("a", 14, 1),
        ];
        let mut next = sampler.sample(rows, 3 * second, at);
        assert_eq!(
            rates(&next),
            [("a", Some(2.0)), ("b", Some(0.0)), ("old", None), ("new", Some(3.0))]
        );
        by_rate(&mut next);
        let order: Vec<_> = rates(&next).into_iter().map(|(name, _)| name).collect();
        assert_eq!(order, ["new", "a", "b", "old"]);
    }
}
