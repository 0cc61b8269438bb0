//! The forms that a record's first line is known by.

use super::{
    cursor::Cursor,
    fields::{self, Style},
    header::Header,
    level::Level,
    moment::{self, Assumed, Moment},
};
use crate::timestamp::Timestamp;

mod apache;
mod dated;
mod machine;
mod syslog;

/// How a record's first line begins. In the order in which they are preferred if several fit
/// equally many lines: the special before the general.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    Rfc5424,
    Syslog,
    SyslogIso,
    ApacheError,
    Access,
    Bgl,
    Glog,
    Logcat,
    Ruby,
    JavaUtil,
    Logfmt,
    YearFirst,
    ShortYear,
    Hdfs,
    Compact,
    DayFirst,
    Redis,
    Ctime,
    Epoch,
    Prefixed,
}

pub(super) const ALL: [Lead; 20] = [
    Lead::Rfc5424,
    Lead::Syslog,
    Lead::SyslogIso,
    Lead::ApacheError,
    Lead::Access,
    Lead::Bgl,
    Lead::Glog,
    Lead::Logcat,
    Lead::Ruby,
    Lead::JavaUtil,
    Lead::Logfmt,
    Lead::YearFirst,
    Lead::ShortYear,
    Lead::Hdfs,
    Lead::Compact,
    Lead::DayFirst,
    Lead::Redis,
    Lead::Ctime,
    Lead::Epoch,
    Lead::Prefixed,
];

impl Lead {
    /// As the documentation names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rfc5424 => "rfc5424",
            Self::Syslog => "syslog",
            Self::SyslogIso => "syslog-iso",
            Self::ApacheError => "apache-error",
            Self::Access => "access",
            Self::Bgl => "bgl",
            Self::Glog => "glog",
            Self::Logcat => "logcat",
            Self::Ruby => "ruby",
            Self::JavaUtil => "java-util-logging",
            Self::Logfmt => "logfmt",
            Self::YearFirst => "iso",
            Self::ShortYear => "yy/mm/dd",
            Self::Hdfs => "yymmdd",
            Self::Compact => "yyyymmdd",
            Self::DayFirst => "dd-mon-yyyy",
            Self::Redis => "redis",
            Self::Ctime => "ctime",
            Self::Epoch => "epoch",
            Self::Prefixed => "prefixed-iso",
        }
    }

    pub(super) const fn has_year(self) -> bool {
        !matches!(self, Self::Syslog | Self::Glog | Self::Logcat)
    }

    /// Reads the line's start; `None` if no record of this form starts with it.
    pub(super) fn read(self, line: &[u8], style: Style, assumed: &Assumed) -> Option<Header> {
        let c = Cursor::new(line);
        match self {
            Self::Rfc5424 => syslog::rfc5424(c, assumed),
            Self::Syslog => syslog::rfc3164(c, assumed),
            Self::SyslogIso => syslog::iso(c, assumed),
            Self::ApacheError => apache::error(c, assumed),
            Self::Access => apache::access(c, assumed),
            Self::Bgl => machine::bgl(c, assumed),
            Self::Glog => machine::glog(c, assumed),
            Self::Logcat => machine::logcat(c, assumed),
            Self::Ruby => machine::ruby(c, assumed),
            Self::JavaUtil => machine::java_util(c, assumed),
            Self::Logfmt => machine::logfmt(c, assumed),
            Self::YearFirst => dated::year_first(c, style, assumed),
            Self::ShortYear => dated::short_year(c, style, assumed),
            Self::Hdfs => dated::hdfs(c, style, assumed),
            Self::Compact => dated::compact(c, style, assumed),
            Self::DayFirst => dated::day_first(c, style, assumed),
            Self::Redis => machine::redis(c, assumed),
            Self::Ctime => dated::ctime(c, style, assumed),
            Self::Epoch => dated::epoch(c, style, assumed),
            Self::Prefixed => dated::prefixed(c, style, assumed),
        }
    }
}

/// The header of a line whose time is read and whose level and fields come next.
fn rest(mut c: Cursor<'_>, moment: &Moment, style: Style, assumed: &Assumed) -> Header {
    let level = fields::level(&mut c);
    message(c, moment, level, style, assumed)
}

/// The header of a line whose level is read and whose fields come next.
fn message(
    mut c: Cursor<'_>,
    moment: &Moment,
    level: Option<Level>,
    style: Style,
    assumed: &Assumed,
) -> Header {
    style.skip(&mut c);
    fields::separators(&mut c);
    Header::new(moment.timestamp(assumed), level, c.at())
}

/// A time as syslog writes it, by itself: `Jun  9 06:06:20`.
pub(super) fn month_first(c: &mut Cursor<'_>, assumed: &Assumed) -> Option<Timestamp> {
    syslog::month_first(c)?.timestamp(assumed)
}
