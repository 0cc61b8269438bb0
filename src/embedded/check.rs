//! Whether the files are where what is committed stays.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::{Sync, connect};
use crate::check::{Check, Verdict};

/// Below this the journal soon has nowhere to go while the tables cannot be written.
const FREE_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// Judges the files of tables and journal, and the disk below them; makes neither.
pub fn check(errors: &Path, journal: &Path) -> Vec<Check> {
    let mut checks = vec![file("tables", errors), file("journal", journal)];
    for (path, names) in [
        (errors, ["journal_mode of tables", "synchronous of tables"]),
        (journal, ["journal_mode of journal", "synchronous of journal"]),
    ] {
        if path.exists() {
            checks.extend(modes(path, names));
        }
    }
    let directory = directory(errors);
    checks.push(free(&directory));
    #[cfg(target_os = "linux")]
    checks.push(file_system(&directory));
    checks
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn file(name: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let directory = directory(path);
    if let Err(error) = access(&directory, Access::WRITE_OK | Access::EXEC_OK) {
        let value = format!("{shown}: {}: {error}", directory.display());
        let remedy = format!("mkdir -p {0} && chown $(id -u) {0}", directory.display());
        return Check::new(name, value, Verdict::Wrong, remedy);
    }
    if !path.exists() {
        return Check::new(name, format!("{shown}, made at start"), Verdict::Ok, "");
    }
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Check::new(name, shown.to_string(), Verdict::Ok, ""),
        Err(error) => {
            let remedy = format!("chown $(id -u) {shown}*");
            Check::new(name, format!("{shown}: {error}"), Verdict::Wrong, remedy)
        }
    }
}

/// Opened as the server opens it, and read back.
fn modes(path: &Path, [journal, sync]: [&'static str; 2]) -> [Check; 2] {
    let conn = connect(path, Sync::Full);
    let pragma = |name: &str| {
        let conn = conn.as_ref().map_err(ToString::to_string)?;
        let value =
            conn.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        value.map_err(|error| error.to_string())
    };
    let judge = |name, pragma: Result<rusqlite::types::Value, String>, good: &str| {
        let value = match pragma {
            Ok(rusqlite::types::Value::Text(text)) => text,
            Ok(rusqlite::types::Value::Integer(number)) => number.to_string(),
            Ok(_) => String::new(),
            Err(reason) => reason,
        };
        let verdict = if value == good { Verdict::Ok } else { Verdict::Wrong };
        Check::new(name, value, verdict, "--data with a file on a local disk")
    };
    // 2 is FULL: a commit returns when it is on disk
    [judge(journal, pragma("journal_mode"), "wal"), judge(sync, pragma("synchronous"), "2")]
}

fn free(directory: &Path) -> Check {
    let name = "free disk space";
    let remedy = "--data with a file on a disk that has room";
    match statvfs(directory) {
        Ok(found) => {
            let bytes = found.f_bavail.saturating_mul(found.f_frsize);
            let verdict = if bytes < FREE_BYTES_MIN { Verdict::Weaker } else { Verdict::Ok };
            Check::new(name, format!("{} MiB", bytes >> 20), verdict, remedy)
        }
        Err(_) => Check::new(name, "", Verdict::Unknown, remedy),
    }
}

/// Kinds of file systems by their magic number: those that are known to lose what was synced, or
/// on which processes do not share memory as `SQLite`'s log needs it.
#[cfg(target_os = "linux")]
fn file_system(directory: &Path) -> Check {
    let name = "file system";
    let remedy = "--data with a file on a local disk";
    let Ok(found) = rustix::fs::statfs(directory) else {
        return Check::new(name, "", Verdict::Unknown, remedy);
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 bits are used")]
    let magic = found.f_type as u32;
    let (kind, verdict) = match magic {
        0x0102_1994 => ("tmpfs", Verdict::Weaker),
        0x8584_58f6 => ("ramfs", Verdict::Weaker),
        0x6969 => ("nfs", Verdict::Wrong),
        0xff53_4d42 | 0xfe53_4d42 => ("smb", Verdict::Wrong),
        0x0102_1997 => ("9p", Verdict::Wrong),
        0xef53 => ("ext", Verdict::Ok),
        0x5846_5342 => ("xfs", Verdict::Ok),
        0x9123_683e => ("btrfs", Verdict::Ok),
        0x2fc1_2fc1 => ("zfs", Verdict::Ok),
        0x794c_7630 => ("overlay", Verdict::Ok),
        _ => return Check::new(name, format!("{magic:#x}, taken to be local"), Verdict::Ok, ""),
    };
    Check::new(name, kind, verdict, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_judged_before_and_after_they_are_made() {
        let dir = tempfile::TempDir::new().unwrap();
        let (errors, journal) = (dir.path().join("errsift.db"), dir.path().join("other"));
        let named = |checks: Vec<Check>, name: &str| {
            checks.into_iter().find(|check| check.name == name).unwrap()
        };
        let tables = named(check(&errors, &journal), "tables");
        assert_eq!(tables.verdict, Verdict::Ok);
        assert!(tables.value.ends_with("made at start"), "{tables:?}");
        assert!(!errors.exists());
        drop(connect(&errors, Sync::Full).unwrap());
        let checks = check(&errors, &journal);
        assert_eq!(named(checks.clone(), "journal_mode of tables").value, "wal");
        assert_eq!(named(checks.clone(), "synchronous of tables").verdict, Verdict::Ok);
        assert!(checks.iter().all(|check| check.name != "synchronous of journal"));
        let nowhere = file("tables", &dir.path().join("absent/errsift.db"));
        assert_eq!(nowhere.verdict, Verdict::Wrong);
        assert!(nowhere.remedy.starts_with("mkdir -p "), "{nowhere:?}");
    }
}
