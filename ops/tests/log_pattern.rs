//! Forms that the user describes.

use errsift_ops::{
    log::{Assumed, Format, Level, PatternError, Record, Year},
    timestamp::Timestamp,
};

const ASSUMED: Assumed = Assumed { year: Year::Is(2024), utc_offset_seconds: 0 };

fn read<'a>(format: &'a Format, log: &'a str) -> Vec<Record<'a>> {
    format.records(log.as_bytes()).collect()
}

#[test]
fn groups_are_a_records_fields() {
    let pattern = r"(?<time>%d.%m.%Y %H:%M:%S,%f) (?<service>\w+)/(?<type>\S*) (?<level>\w+) > (?<message>.*)";
    let format = Format::from_pattern(pattern, &ASSUMED).unwrap();
    assert_eq!((format.name(), format.has_year()), ("pattern", true));
    let log = "02.01.2024 03:04:05,678 shop/Timeout ERR > lost\n  of two lines\n\
        02.01.2024 03:04:06,5 shop/ INFO > fine\nTraceback (most recent call last):\n  File \"a\", line 1\nE: x\n";
    let records = read(&format, log);
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].message, "lost\n  of two lines");
    assert_eq!(records[0].level, Some(Level::Error));
    assert_eq!(records[0].kind.as_deref(), Some("Timeout"));
    assert_eq!(records[0].service.as_deref(), Some("shop"));
    assert_eq!(records[0].timestamp, Timestamp::parse_rfc3339("2024-01-02T03:04:05.678Z"));
    assert_eq!(records[1].kind, None);
    assert_eq!((records[2].kind.as_deref(), &*records[2].message), (Some("E"), "x"));
    assert_eq!(records[2].timestamp, records[1].timestamp);
}

#[test]
fn times_of_known_forms_need_no_directives() {
    for (pattern, line, expected) in [
        (
            r"\w+ @(?<time>\S+) (?<message>.*)",
            "app @2024-01-02T03:04:05Z lost",
            "2024-01-02T03:04:05Z",
        ),
        (r"\w+ @(?<time>\S+) (?<message>.*)", "app @1704164645.5 lost", "2024-01-02T03:04:05.5Z"),
        (r"\[(?P<time>[^\]]+)\] (?P<message>.*)", "[Jan  2 03:04:05] lost", "2024-01-02T03:04:05Z"),
        (r"(?<time>%b %e %T) (?<message>.*)", "Jan  2 03:04:05 lost", "2024-01-02T03:04:05Z"),
        (r"(?<time>%s) (?<message>.*)", "1704164645 lost", "2024-01-02T03:04:05Z"),
        (
            r"(?<time>%F %T %z) (?<message>.*)",
            "2024-01-02 03:04:05 +0200 lost",
            "2024-01-02T01:04:05Z",
        ),
        (
            r"(?<time>%m/%d/%y %I:%M:%S %p): (?<message>.*)",
            "01/02/24 03:04:05 PM: lost",
            "2024-01-02T15:04:05Z",
        ),
    ] {
        let format = Format::from_pattern(pattern, &ASSUMED).unwrap();
        let records = read(&format, line);
        assert_eq!(records.len(), 1, "{pattern}");
        assert_eq!(records[0].timestamp, Timestamp::parse_rfc3339(expected), "{pattern}");
        assert_eq!(records[0].message, "lost", "{pattern}");
    }
}

#[test]
fn a_year_is_assumed_for_patterns_too() {
    let last = Timestamp::parse_rfc3339("2024-01-02T00:00:00Z").unwrap();
    let assumed = Assumed { year: Year::UpTo(last), utc_offset_seconds: 3_600 };
    let format = Format::from_pattern("(?<time>%d/%m %H:%M:%S) (?<message>.*)", &assumed).unwrap();
    assert!(!format.has_year());
    let records = read(&format, "31/12 23:00:00 a\n01/01 00:30:00 b\n");
    assert_eq!(records[0].timestamp, Timestamp::parse_rfc3339("2023-12-31T22:00:00Z"));
    assert_eq!(records[1].timestamp, Timestamp::parse_rfc3339("2023-12-31T23:30:00Z"));
}

#[test]
fn a_time_that_is_none_leaves_the_record_without() {
    let format = Format::from_pattern(r"(?<time>\S+) (?<message>.*)", &ASSUMED).unwrap();
    let records = read(&format, "yesterday lost\n2024-01-02T03:04:05Z found");
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].timestamp, &*records[0].message), (None, "lost"));
    assert!(records[1].timestamp.is_some());
}

#[test]
fn faults_say_what_is_wrong_and_where() {
    let fault = |pattern| Format::from_pattern(pattern, &ASSUMED).unwrap_err();
    let said = |pattern| fault(pattern).to_string();
    assert!(matches!(fault("(?<time>%Y"), PatternError::Open { at: 0 }));
    assert!(matches!(fault("x(?<time>a%Q)"), PatternError::Directive { at: 10, .. }));
    assert!(said("x(?<time>a%Q)").starts_with("%Q at 10 is no directive of a time: use %Y"));
    assert!(matches!(fault("(?<message>.*) (?<tiem>.*)"), PatternError::Group { at: 17, .. }));
    assert!(said("(?<tiem>.*)").starts_with("group \"tiem\" at 2 has no meaning"));
    assert!(matches!(fault(".*"), PatternError::NoGroup));
    assert!(matches!(fault("(?<message>[)"), PatternError::Expression(_)));
    assert!(said("(?<message>[)").contains("unclosed character class"));
}
