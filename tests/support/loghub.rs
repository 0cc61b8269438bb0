//! 16,000 real log messages, or as many made-up ones where the real ones are not at hand.
//!
//! The real ones are the `Content` column of eight sets of Loghub 2k, which is not part of this
//! repository: they are looked for in the directory that `LOGHUB_DIR` names, else beside it. Of
//! their 16,000 lines 9,217 are distinct; 8,628 occur once and the 589 others make up the rest, the
//! most frequent one 569 times. [`synthetic`] has the same shape, so that a test of exact counts
//! means the same with either.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

pub const SETS: [&str; 8] =
    ["Apache", "BGL", "HDFS", "Hadoop", "Linux", "OpenStack", "Spark", "Zookeeper"];

const SYNTHETIC_UNIQUE: u32 = 8_628;
const SYNTHETIC_REPEATED: u32 = 589;
const SYNTHETIC_LINES: u32 = 16_000;
const SYNTHETIC_TOP: u32 = 569;

/// The messages of all sets in their order. `None`, said aloud, when a set is missing.
pub fn contents() -> Option<Vec<String>> {
    let dir = dir();
    let messages = contents_of(&dir);
    if messages.is_none() {
        eprintln!("SKIPPED: no Loghub sets in {}, made-up lines take their place", dir.display());
    }
    messages
}

/// Where the sets are looked for.
pub fn dir() -> PathBuf {
    // from the repository's directory, or from that of one of its crates
    let beside = || {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = if here.join(".ci").exists() { here } else { here.parent().unwrap_or(here) };
        root.join("../shared/data/loghub-dev")
    };
    env::var_os("LOGHUB_DIR").map_or_else(beside, PathBuf::from)
}

/// [`contents`], else [`synthetic`].
pub fn contents_or_synthetic() -> Vec<String> {
    contents().unwrap_or_else(synthetic)
}

/// The messages of the sets in a directory; `None` when one of them is not there.
pub fn contents_of(dir: &Path) -> Option<Vec<String>> {
    let mut messages = Vec::new();
    for set in SETS {
        let path: PathBuf = dir.join(format!("{set}_2k.log_structured_corrected.csv"));
        let mut rows = csv(&fs::read_to_string(path).ok()?).into_iter();
        let header = rows.next()?;
        let content = header.iter().position(|column| column == "Content")?;
        for row in rows {
            messages.push(row.into_iter().nth(content)?);
        }
    }
    Some(messages)
}

/// Records and fields by RFC 4180: quotes keep commas and line ends, a doubled quote is one quote,
/// lines end with or without `\r`. Empty lines are no records.
pub fn csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                keep(&mut rows, std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    row.push(field);
    keep(&mut rows, row);
    rows
}

fn keep(rows: &mut Vec<Vec<String>>, row: Vec<String>) {
    if row.len() > 1 || !row[0].is_empty() {
        rows.push(row);
    }
}

/// 16,000 made-up lines, the same at each call, of the shape that the module describes.
pub fn synthetic() -> Vec<String> {
    let mut messages = Vec::new();
    for n in 0..SYNTHETIC_UNIQUE {
        messages.push(unique_message(n));
    }
    // The n-th most frequent line occurs 569 / n times, at least twice; the remainder is spread.
    let mut occurrences: Vec<u32> =
        (1..=SYNTHETIC_REPEATED).map(|rank| (SYNTHETIC_TOP / rank).max(2)).collect();
    let missing = SYNTHETIC_LINES - SYNTHETIC_UNIQUE - occurrences.iter().sum::<u32>();
    let below_top = 1..occurrences.len();
    for at in below_top.cycle().take(missing as usize) {
        occurrences[at] += 1;
    }
    for (n, count) in (0..).zip(occurrences) {
        for _ in 0..count {
            messages.push(repeated_message(n));
        }
    }
    shuffle(&mut messages);
    messages
}

fn unique_message(n: u32) -> String {
    match n % 4 {
        0 => format!("Received block blk_{} of size 67108864 from /10.0.0.{}", n * 7_919, n % 250),
        1 => format!("workerEnv.init() ok /etc/httpd/conf/workers{n}.properties"),
        2 => format!("\"GET /v2/servers/{n:08x}/detail HTTP/1.1\" status: 500, time: 0.{n:04}"),
        _ => {
            format!("Caught exception; session 0x{n:012x}, \u{201e}Verbindung {n}\u{201c} getrennt")
        }
    }
}

fn repeated_message(n: u32) -> String {
    match n % 3 {
        0 => format!("mod_jk child workerEnv in error state {n}"),
        1 => format!("instruction cache parity error corrected, rank {n}"),
        _ => format!("authentication failure; uid=0, tty=ssh, rhost=10.1.{}.{}", n / 250, n % 250),
    }
}

/// Fisher–Yates over Knuth's MMIX generator: fixed seed, no dependency, even enough.
fn shuffle(messages: &mut [String]) {
    let mut state: u64 = 1;
    for end in (1..messages.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bound = u64::try_from(end + 1).expect("a length fits");
        let at = usize::try_from((state >> 33) % bound).expect("below a length");
        messages.swap(end, at);
    }
}
