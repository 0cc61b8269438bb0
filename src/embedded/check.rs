//! Whether the files are where what is committed stays.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, statvfs};

use crate::check::{Check, Verdict};

/// Below this the journal soon has nowhere to go while the tables cannot be written.
const FREE_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// Judges the files of tables and journal, and the disk below them; makes neither.
pub fn check(errors: &Path, journal: &Path) -> Vec<Check> {
    let mut checks = vec![file("tables", errors), file("journal", journal)];
    for (path, name) in [(errors, "journal_mode of tables"), (journal, "journal_mode of journal")] {
        if path.exists() {
            checks.push(mode(path, name));
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

/// What an `SQLite` file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Read from the file's first bytes: even a connection that cannot write would make a log beside
/// it.
fn mode(path: &Path, name: &'static str) -> Check {
    let remedy = "--data with a file of errsift's on a local disk";
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(20).read_to_end(&mut head));
    let (value, verdict) = match (read, head.get(..16), head.get(18..20)) {
        (Err(error), ..) => (error.to_string(), Verdict::Wrong),
        (Ok(0), ..) => ("none, made wal at start".to_owned(), Verdict::Ok),
        (Ok(_), Some(magic), Some([2, 2])) if magic == MAGIC => ("wal".to_owned(), Verdict::Ok),
        (Ok(_), Some(magic), Some(_)) if magic == MAGIC => {
            ("not wal, made wal at start".to_owned(), Verdict::Ok)
        }
        _ => ("not an SQLite file".to_owned(), Verdict::Wrong),
    };
    Check::new(name, value, verdict, remedy)
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
    use super::{
        super::{Sync, connect},
        *,
    };

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
        assert!(checks.iter().all(|check| check.name != "journal_mode of journal"));
        let nowhere = file("tables", &dir.path().join("absent/errsift.db"));
        assert_eq!(nowhere.verdict, Verdict::Wrong);
        assert!(nowhere.remedy.starts_with("mkdir -p "), "{nowhere:?}");
    }
    #[test]
    fn a_file_is_looked_at_and_left_as_it_is() {
        let dir = tempfile::TempDir::new().unwrap();
        let (errors, other) = (dir.path().join("other.db"), dir.path().join("words"));
        let conn = rusqlite::Connection::open(&errors).unwrap();
        conn.execute_batch("CREATE TABLE another (a)").unwrap();
        drop(conn);
        std::fs::write(&other, "neither empty nor a database").unwrap();
        let before = std::fs::read(&errors).unwrap();
        let found = mode(&errors, "journal_mode of tables");
        assert_eq!((found.verdict, &found.value[..7]), (Verdict::Ok, "not wal"));
        assert_eq!(mode(&other, "journal_mode of journal").verdict, Verdict::Wrong);
        check(&errors, &other);
        assert_eq!(std::fs::read(&errors).unwrap(), before);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no file was made");
        let conn = connect(&errors, Sync::Full).unwrap();
        let limit = conn.pragma_query_value(None, "journal_size_limit", |row| row.get::<_, i64>(0));
        assert_eq!(limit.unwrap(), super::super::LOG_BYTES_MAX);
    }
}
