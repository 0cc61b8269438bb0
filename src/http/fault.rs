//! What can be wrong with a request, in words, and the status each has.

use errsift_ops::{
    batch::{self, Malformed},
    body,
    fingerprint::NotAFingerprint,
};
use hyper::StatusCode;

use crate::query::{QueryFault, Wrong};

/// Why a request is not answered as the client hoped; the message names the part at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The path is not one of ours.
    #[error("path: nothing is here")]
    NoSuchPath,
    /// The path is, the method is not one it has; these are, as `Allow` lists them.
    #[error("method: only {0} is answered here")]
    Method(&'static str),
    /// `Host` is missing, there twice, or no host.
    #[error("Host: expected exactly one, a host with or without a port")]
    Host,
    /// There is no key, and one is needed.
    #[error("Authorization: a key is needed, as Bearer KEY or in X-API-Key")]
    NoKey,
    /// There is one, but not one that is set.
    #[error("Authorization: the key is not known")]
    UnknownKey,
    /// It is known, and for something else.
    #[error("Authorization: a key for {0} is needed here")]
    KeyKind(&'static str),
    /// The body is said to be something else than JSON.
    #[error("Content-Type: expected application/json in UTF-8")]
    ContentType,
    /// The batch's body is said to be something else than JSON or lines of it.
    #[error("Content-Type: expected application/json or application/x-ndjson in UTF-8")]
    BatchContentType,
    /// The body is said to be compressed in another way, or more than once.
    #[error("Content-Encoding: only one of gzip, deflate, br and zstd is understood")]
    ContentEncoding,
    /// The body is said to be transferred in another way than in chunks.
    #[error("Transfer-Encoding: only chunked is understood, once")]
    TransferEncoding,
    /// Neither a length nor chunks were announced.
    #[error("Content-Length: required, unless Transfer-Encoding is chunked")]
    NoLength,
    /// The announced length is beyond the limit.
    #[error("Content-Length: at most {0} bytes are taken")]
    LengthTooLarge(usize),
    /// The body grew beyond the limit.
    #[error("body: at most {0} bytes are taken")]
    BodyTooLarge(usize),
    /// It is larger than the limit once inflated.
    #[error("body: at most {0} bytes are taken once inflated")]
    InflatedTooLarge(usize),
    /// It is a bomb.
    #[error("body: inflates to more than {0} times its size")]
    InflatesTooMuch(usize),
    /// It is not compressed as is said.
    #[error("body: not {0}, as Content-Encoding says, or not all of it")]
    Inflate(&'static str),
    /// A batch of nothing.
    #[error("body: there is no event in it")]
    EmptyBatch,
    /// A batch of too many events.
    #[error("body: at most {events} events are taken at once", events = batch::EVENTS_MAX)]
    BatchTooLong,
    /// An array that is none.
    #[error("body: {0}")]
    NotABatch(Malformed),
    /// The body did not come in time.
    #[error("body: not complete in time")]
    BodyTooSlow,
    /// The body ended early or its chunks are malformed.
    #[error("body: ended early or wrongly chunked")]
    BodyBroken,
    /// The body is not an event.
    #[error(transparent)]
    NotAnEvent(#[from] body::Fault),
    /// The channel into the pipeline is full.
    #[error("the server is busy; the event was not stored, try again")]
    Busy,
    /// The shard is another process's.
    #[error("this process stands by for another; the event was not stored, try again")]
    StandingBy,
    /// The journal could not be written.
    #[error("the journal cannot be written; the event was not stored, try again")]
    NotStored,
    /// Nobody knows.
    #[error("the journal's answer is missing; the event may be stored")]
    MaybeStored,
    /// There is no room for the batch now.
    #[error("the server is busy; nothing of the batch was stored, try again")]
    BatchBusy,
    /// The shard is another process's.
    #[error("this process stands by for another; nothing of the batch was stored, try again")]
    BatchStandingBy,
    /// The journal could not be written.
    #[error("the journal cannot be written; nothing of the batch was stored, try again")]
    BatchNotStored,
    /// Nobody knows of all of its events, or of those that came before.
    #[error("the journal's answer is missing; the batch's events may be stored")]
    BatchMaybeStored,
    /// The fingerprint in the path is none.
    #[error(transparent)]
    NotAFingerprint(#[from] NotAFingerprint),
    /// The query string is not understood.
    #[error(transparent)]
    Query(#[from] Wrong),
    /// No event with this fingerprint was ever applied or journaled.
    #[error("fingerprint: no such error is stored")]
    NoSuchError,
    /// The question takes a store too long, and would again.
    #[error("errors: {0}")]
    TooLong(QueryFault),
    /// A store, or the process, cannot be asked now.
    #[error("{part}: {reason}")]
    Away {
        /// Which.
        part: &'static str,
        /// Why.
        reason: String,
    },
}

impl From<QueryFault> for Fault {
    fn from(fault: QueryFault) -> Self {
        match fault {
            QueryFault::Away(reason) => Self::Away { part: "errors", reason },
            QueryFault::TooLong => Self::TooLong(fault),
        }
    }
}

impl Fault {
    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoKey | Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::KeyKind(_) => StatusCode::FORBIDDEN,
            Self::NotAnEvent(fault) if fault.forbidden => StatusCode::FORBIDDEN,
            Self::Host
            | Self::TransferEncoding
            | Self::BodyBroken
            | Self::NotAnEvent(_)
            | Self::InflatesTooMuch(_)
            | Self::Inflate(_)
            | Self::EmptyBatch
            | Self::NotABatch(_)
            | Self::Query(_)
            | Self::NotAFingerprint(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchPath | Self::NoSuchError => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoLength => StatusCode::LENGTH_REQUIRED,
            Self::LengthTooLarge(_)
            | Self::BodyTooLarge(_)
            | Self::InflatedTooLarge(_)
            | Self::BatchTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType | Self::BatchContentType | Self::ContentEncoding => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Busy
            | Self::StandingBy
            | Self::NotStored
            | Self::MaybeStored
            | Self::BatchBusy
            | Self::BatchStandingBy
            | Self::BatchNotStored
            | Self::BatchMaybeStored
            | Self::TooLong(_)
            | Self::Away { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
