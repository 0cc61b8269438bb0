//! What holds for any bytes.

#![allow(dead_code, reason = "each target has one of them")]

use errsift_ops::{
    body,
    event::{Payload, limit},
    fingerprint::Fingerprint,
    job,
    timestamp::Timestamp,
};

/// A job that can be read is written again as the very same bytes; anything else is an error. The
/// content is tried with a checksum that fits as well, or nothing would get past it.
pub fn job(bytes: &[u8]) {
    round_trip(bytes);
    let mut sealed = bytes.to_vec();
    sealed.extend(crc32c::crc32c(bytes).to_le_bytes());
    round_trip(&sealed);
}

fn round_trip(bytes: &[u8]) {
    match job::decode(bytes) {
        Ok(job) => assert_eq!(job::encode(&job), bytes, "{job:?}"),
        Err(fault) => assert!(fault.to_string().len() < 1_000),
    }
}

/// A body is an event of which another parser says the same, or a fault in short words.
pub fn event(bytes: &[u8]) {
    let received = Timestamp::from_millis(1_700_000_000_000);
    let event = match body::read(bytes, received) {
        Ok(event) => event,
        Err(fault) => {
            assert!(!fault.reason.is_empty() && fault.to_string().len() < 2_000, "{fault}");
            return;
        }
    };
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("an event is JSON");
    assert_eq!(value["message"], *event.message);
    assert_eq!(value.get("service").and_then(|text| text.as_str()), event.service.as_deref());
    assert!(event.timestamp <= received.plus_millis(body::FUTURE_MS_MAX));
    assert_eq!(Fingerprint::of(&event), Fingerprint::of(&event.clone()));
    let message = event.message.clone();
    let payload = Payload::from(event);
    assert!(payload.message.chars().count() <= limit::MESSAGE_CHARS);
    assert!(payload.message == message || message.chars().count() > limit::MESSAGE_CHARS);
    assert!(payload.tags.len() <= limit::TAGS);
}
