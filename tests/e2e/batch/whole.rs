//! A batch is counted whole or not at all, whatever dies under it.

use std::{
    io::ErrorKind,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
    time::Duration,
};

use serde_json::json;

use super::{BATCH, FLAGS, assert_ledger, lines};
use crate::{
    load::Fate,
    stack::Stack,
    support::client::{Answer, Client},
    wait,
};

/// Of an attempt to send a batch: its own message, how often that is in it, and what is known.
struct Attempt {
    message: String,
    fate: Fate,
}

const COPIES: u32 = 7;

fn attempt(client: &mut Client, message: &str) -> Fate {
    let own = json!({ "message": message });
    let mut events = vec![json!({ "message": "in all" })];
    events.extend((0..COPIES).map(|_| own.clone()));
    let answer = client.exchange("POST", BATCH, &[], lines(&events).as_bytes());
    match answer {
        Ok(Answer { status: 200, .. }) => Fate::Acked,
        Ok(Answer { status: 503, body, .. }) if body.contains("may be stored") => Fate::Maybe,
        Ok(Answer { status: 503, body, .. }) if body.contains("was stored, try again") => Fate::Not,
        Ok(answer) => panic!("{answer:?}"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Fate::Not,
        Err(_) => Fate::Maybe,
    }
}

/// What was acked is counted whole and once, what was not is counted whole or not at all.
fn assert_whole(stack: &Stack, attempts: &[Attempt]) {
    let tables = stack.tables();
    let (mut least, mut most) = (0, 0);
    for Attempt { message, fate } in attempts {
        let count = tables.count(message);
        match fate {
            Fate::Acked => assert_eq!(count, u64::from(COPIES), "{message}"),
            Fate::Not => assert_eq!(count, 0, "{message}"),
            Fate::Maybe => assert!(count == 0 || count == u64::from(COPIES), "{message}: {count}"),
        }
        least += u64::from(*fate == Fate::Acked);
        most += u64::from(*fate != Fate::Not);
    }
    let all = tables.count("in all");
    assert!((least..=most).contains(&all), "{all} of {least} to {most}");
    tables.assert_windows_sum_to_counts();
}

#[test]
fn a_killed_errsift_counts_batches_whole() {
    let mut stack = Stack::servers(&FLAGS);
    let address = stack.errsift.address();
    let (stop, acked) = (AtomicBool::new(false), AtomicU64::new(0));
    let attempts = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|thread| {
                let (stop, acked) = (&stop, &acked);
                scope.spawn(move || {
                    let mut client = Client::new(address);
                    let mut attempts = Vec::new();
                    while !stop.load(SeqCst) {
                        let message = format!("{thread}-{}", attempts.len());
                        let fate = attempt(&mut client, &message);
                        attempts.push(Attempt { message, fate });
                        match fate {
                            Fate::Acked => drop(acked.fetch_add(1, SeqCst)),
                            _ => thread::sleep(Duration::from_millis(20)),
                        }
                    }
                    attempts
                })
            })
            .collect();
        for _ in 0..4 {
            let goal = acked.load(SeqCst) + 150;
            wait::until_true("acks", || acked.load(SeqCst) >= goal);
            stack.errsift.process.restart();
        }
        let goal = acked.load(SeqCst) + 50;
        wait::until_true("acks", || acked.load(SeqCst) >= goal);
        stop.store(true, SeqCst);
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client fails"))
            .collect::<Vec<_>>()
    });
    assert!(attempts.iter().any(|attempt| attempt.fate == Fate::Maybe));
    stack.settle();
    assert_whole(&stack, &attempts);
}

#[test]
fn a_redis_that_is_gone_takes_no_batch() {
    let mut stack = Stack::servers(&FLAGS);
    let mut client = stack.errsift.client();
    let mut attempts = Vec::new();
    let mut attempt = |message: &str| {
        let fate = attempt(&mut client, message);
        attempts.push(Attempt { message: message.to_owned(), fate });
        fate
    };
    assert_eq!(attempt("before"), Fate::Acked);
    stack.outside().redis.process.kill_9();
    for n in 0..3 {
        assert_ne!(attempt(&format!("meanwhile {n}")), Fate::Acked);
    }
    stack.outside().redis.process.restart();
    let mut tries = 0;
    wait::until_true("acks again", || {
        tries += 1;
        attempt(&format!("after {tries}")) == Fate::Acked
    });
    stack.settle();
    assert_whole(&stack, &attempts);
    assert_ledger(&stack);
}
