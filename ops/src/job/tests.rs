//! What a job is as bytes.

use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(".{0,20}")
}

fn details() -> impl Strategy<Value = Details> {
    let tags = proptest::collection::vec((".{0,9}", ".{0,9}"), 0..3);
    (".{0,40}", text(), text(), text(), (text(), text(), text()), tags).prop_map(
        |(message, stack_trace, kind, level, (service, environment, release), tags)| Details {
            rule: RuleVersion(1),
            payload: Payload {
                message,
                stack_trace,
                kind,
                level,
                service,
                environment,
                release,
                tags,
            },
        },
    )
}

fn entries() -> impl Strategy<Value = Entry> {
    let at = || (0..Timestamp::MAX.millis()).prop_map(Timestamp::from_millis);
    let details = proptest::option::of(details());
    (any::<[u8; 32]>(), any::<u64>(), at(), at(), details).prop_map(
        |(fingerprint, count, first, last, details)| Entry {
            fingerprint: Fingerprint(fingerprint),
            window: Window::of(first),
            tally: Tally { count, first, last },
            details: details.map(std::sync::Arc::new),
        },
    )
}

prop_compose! {
    fn jobs()(
        entries in proptest::collection::vec(entries(), 0..5),
        numbers in any::<[u64; 3]>(),
        ids in proptest::collection::vec(any::<u128>().prop_map(EventId), 0..4),
        merged in any::<u64>(),
    ) -> Job {
        Job {
            shard: Shard(3),
            term: Term(numbers[0]),
            first: Seq(numbers[1].saturating_sub(merged % 3)),
            flight: Flight {
                seq: Seq(numbers[1]),
                epoch: Epoch(numbers[2]),
                received_min: Timestamp::from_millis(1),
                received_max: Timestamp::from_millis(2),
                entries,
                ids,
            },
        }
    }
}

/// Gives changed bytes their own CRC.
fn seal(bytes: &mut [u8]) {
    let content = bytes.len() - CRC_BYTES;
    let crc = crc32c::crc32c(&bytes[..content]);
    bytes[content..].copy_from_slice(&crc.to_le_bytes());
}

proptest! {
    #[test]
    fn a_job_reads_back_as_written(job in jobs()) {
        let bytes = encode(&job);
        let header = header(&bytes).unwrap();
        prop_assert!(is_whole(&bytes) && !is_whole(&bytes[1..]));
        let Job { shard, term, ref flight, .. } = job;
        let (seq, epoch) = (flight.seq, flight.epoch);
        prop_assert_eq!(header, Header { tombstone: false, shard, term, seq, epoch });
        prop_assert_eq!(decode(&bytes), Ok(job));
    }

    #[test]
    fn a_tombstone_is_a_flight_without_entries(numbers in any::<(u16, u64, u64, u64)>()) {
        let (shard, term) = (Shard(numbers.0), Term(numbers.1));
        let (seq, epoch) = (Seq(numbers.2), Epoch(numbers.3));
        let mut bytes = tombstone(shard, term, seq, epoch);
        let job = decode(&bytes).unwrap();
        prop_assert_eq!((job.shard, job.term), (shard, term));
        prop_assert_eq!((job.flight.seq, job.flight.epoch), (seq, epoch));
        prop_assert!(job.flight.entries.is_empty());
        let expected = Header { tombstone: true, shard, term, seq, epoch };
        prop_assert_eq!(header(&bytes), Ok(expected));
        // of a journal from before there were tombstones, nothing is read differently
        prop_assert_ne!(&bytes, &encode(&job));
        bytes[10] ^= 1;
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn a_tombstone_that_holds_anything_is_damage(job in jobs()) {
        let read = decode(&encode_with(TOMBSTONE, &job));
        let (flight, alone) = (&job.flight, job.first == job.flight.seq);
        let bare = flight.entries.is_empty() && flight.ids.is_empty() && alone;
        prop_assert_eq!(read.is_ok(), bare);
    }

    #[test]
    fn a_damaged_job_is_an_error(job in jobs(), at in any::<proptest::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = encode(&job);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(decode(&bytes).is_err());
        prop_assert!(decode(&bytes[..at]).is_err());
    }

    #[test]
    fn no_bytes_crash_the_reader(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300), flags in 0..8_u8
    ) {
        let _ = (decode(&bytes), header(&bytes));
        let mut framed = [&MAGIC[..], &[1, 0, flags, 0]].concat();
        framed.append(&mut bytes);
        let crc = crc32c::crc32c(&framed);
        framed.extend(crc.to_le_bytes());
        let _ = decode(&framed);
    }
}

#[test]
fn a_newer_job_is_refused_by_name() {
    let mut bytes = encode(&Job {
        shard: Shard(0),
        term: Term(1),
        first: Seq(1),
        flight: Flight {
            seq: Seq(1),
            epoch: Epoch(1),
            received_min: Timestamp::default(),
            received_max: Timestamp::default(),
            entries: Vec::new(),
            ids: Vec::new(),
        },
    });
    assert_eq!(bytes[4..8], [1, 0, 0, 0], "without ids as ever");
    bytes[6] = 0x80;
    assert!(matches!(decode(&bytes), Err(JobError::Crc { .. })), "flags that were not written");
    seal(&mut bytes);
    assert_eq!(decode(&bytes), Err(JobError::Newer { version: 1, flags: 0x80 }));
    bytes[6] = 0;
    bytes[4] = 2;
    assert!(matches!(decode(&bytes), Err(JobError::Crc { .. })), "a version that was not written");
    seal(&mut bytes);
    assert_eq!(decode(&bytes), Err(JobError::Newer { version: 2, flags: 0 }));
    assert_eq!(decode(b"RDB0"), Err(JobError::Magic));
    assert_eq!(decode(b"ES"), Err(JobError::Short(0)));
}
