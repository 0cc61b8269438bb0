//! Rows that the tables refuse: everything else is counted, they are listed, and counted when they
//! can be, all beside a running server.

use crate::{
    command::{Ended, run},
    load,
    stack::{DATABASE, Stack, Stores},
    tables::sha256,
    wait,
};

/// Refuses an error's windows, or takes them again.
fn refuse(stack: &Stack, message: &str) {
    let key = sha256(message);
    match &stack.stores {
        Stores::Servers(servers) => {
            let trigger = format!(
                "CREATE TRIGGER refused BEFORE INSERT ON error_windows FOR EACH ROW \
                 IF NEW.fingerprint = X'{key}' THEN \
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'; END IF"
            );
            servers.mariadb.query(DATABASE, &trigger);
        }
        Stores::Embedded => {
            let trigger = format!(
                "CREATE TRIGGER refused BEFORE INSERT ON error_windows \
                 WHEN NEW.fingerprint = X'{key}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
            );
            stack.sqlite("errsift.db").execute_batch(&trigger).expect("a trigger");
        }
    }
}

fn mend(stack: &Stack) {
    match &stack.stores {
        Stores::Servers(servers) => {
            servers.mariadb.query(DATABASE, "DROP TRIGGER refused");
        }
        Stores::Embedded => {
            stack.sqlite("errsift.db").execute_batch("DROP TRIGGER refused").expect("DROP");
        }
    }
}

fn errsift(stack: &Stack, words: &[&str]) -> Ended {
    let flags = match &stack.stores {
        Stores::Servers(servers) => {
            vec![
                "--redis-url".into(),
                servers.redis.url(),
                "--mysql-url".into(),
                servers.mysql_url.clone(),
            ]
        }
        Stores::Embedded => {
            let data = stack.errsift.process.dir().join("errsift.db");
            vec!["--data".into(), data.display().to_string()]
        }
    };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run(&[words, &flags].concat(), &[])
}

/// Waits until the running server shows these numbers of events.
fn await_numbers(stack: &Stack, counted: f64, dead: f64, dropped: f64) {
    let wanted = [counted, dead, dropped, 0.0, 0.0, 0.0];
    wait::until("the numbers of events", wait::SOON, || {
        let of = |name: &str| stack.errsift.metric(&format!("errsift_{name}")).unwrap_or(-1.0);
        let found = [
            "counted_events",
            "dead_events",
            "dead_dropped_events",
            "pending_events",
            "journal_jobs",
            "ledger_difference",
        ]
        .map(of);
        let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
        if found == wanted { Ok(()) } else { Err(found) }
    });
    errsift(stack, &["check", "--ledger"]).assert_says(0, &["none missing, none twice"]);
}

fn rows_are_set_aside_and_redriven(stack: &Stack) {
    let messages: Vec<String> = (0..60).map(|n| format!("error {}", n % 6)).collect();
    let (refused, address) = ("error 3", stack.errsift.address());
    refuse(stack, refused);
    load::post_all(address, &messages, 4);
    await_numbers(stack, 50.0, 10.0, 0.0);
    let tables = stack.tables();
    assert_eq!((tables.sum(), tables.count(refused)), (50, 0));
    tables.assert_windows_sum_to_counts();

    let key = sha256(refused);
    let listed = errsift(stack, &["dead", "list", "--json"]);
    listed.assert_says(0, &[]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!((listed["events"].as_u64(), listed["dropped_events"].as_u64()), (Some(10), Some(0)));
    let letters = listed["letters"].as_array().expect("letters");
    assert!(letters.iter().all(|letter| letter["fingerprint"] == key), "{letters:?}");
    errsift(stack, &["dead", "list"]).assert_says(0, &[&key, "10 events; 0 events were dropped"]);
    errsift(stack, &["dead", "show", &key]).assert_says(0, &["first seen", "refused"]);
    errsift(stack, &["dead", "show", &sha256("error 1")]).assert_says(1, &["no dead letters"]);

    // the cause is still there
    errsift(stack, &["dead", "redrive", "--all"]).assert_says(1, &["refused again", "10 events"]);
    await_numbers(stack, 50.0, 10.0, 0.0);
    mend(stack);
    errsift(stack, &["dead", "redrive", &key]).assert_says(0, &["10 events counted"]);
    await_numbers(stack, 60.0, 0.0, 0.0);
    assert_eq!(stack.tables().count(refused), 10);

    refuse(stack, refused);
    load::post_all(address, &messages, 4);
    await_numbers(stack, 110.0, 10.0, 0.0);
    errsift(stack, &["dead", "drop", "--all"]).assert_says(2, &["10 events", "--yes"]);
    errsift(stack, &["dead", "drop"]).assert_says(2, &["FINGERPRINT"]);
    let dropped = errsift(stack, &["dead", "drop", "--all", "--yes"]);
    dropped.assert_says(0, &["10 events will never be counted"]);
    await_numbers(stack, 110.0, 0.0, 10.0);
    errsift(stack, &["dead", "list"]).assert_says(0, &["0 dead letters", "10 events were dropped"]);
    mend(stack);

    // and a server that starts on these tables goes on from all of them
    load::post_all(address, &messages, 4);
    await_numbers(stack, 170.0, 0.0, 10.0);
    let tables = stack.tables();
    assert_eq!((tables.sum(), tables.count(refused)), (170, 20));
    tables.assert_windows_sum_to_counts();
    an_event_that_is_missing_is_told(stack);
}

fn an_event_that_is_missing_is_told(stack: &Stack) {
    let miss = "UPDATE applied_epochs SET events = events - 1 WHERE events > 0";
    match &stack.stores {
        Stores::Servers(servers) => {
            drop(servers.mariadb.query(DATABASE, &format!("{miss} LIMIT 1")));
        }
        Stores::Embedded => {
            let first = "part = (SELECT min(part) FROM applied_epochs WHERE events > 0)";
            let file = stack.sqlite("errsift.db");
            assert_eq!(file.execute(&format!("{miss} AND {first}"), []), Ok(1));
        }
    }
    errsift(stack, &["check", "--ledger"])
        .assert_says(1, &["journaled and nowhere to be found", "                    1"]);
}

#[test]
fn rows_that_mariadb_refuses_are_set_aside_and_redriven() {
    rows_are_set_aside_and_redriven(&Stack::servers(&["--flush-interval", "300ms"]));
}

#[test]
fn rows_that_sqlite_refuses_are_set_aside_and_redriven() {
    rows_are_set_aside_and_redriven(&Stack::embedded(&["--flush-interval", "300ms"]));
}

#[test]
fn the_ledger_balances_under_load() {
    for stack in [
        Stack::servers(&["--flush-interval", "300ms"]),
        Stack::embedded(&["--flush-interval", "300ms"]),
    ] {
        let barrage = load::Barrage::start(stack.errsift.address(), 4);
        let mut balanced = 0;
        for _ in 0..6 {
            barrage.await_acks(50);
            let checked = errsift(&stack, &["check", "--ledger"]);
            match checked.code {
                Some(0) => balanced += 1,
                // no moment without a pause: said, and no false alarm
                Some(69) => {}
                _ => panic!("{checked:?}"),
            }
        }
        barrage.stop();
        assert!(balanced > 0, "the ledger was never reckoned");
    }
}
