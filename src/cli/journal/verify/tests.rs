//! Journals that are right, damaged, or moving.

use errsift_ops::{id::Shard, timestamp::Timestamp};

use super::{
    list::{FINGERPRINT, List, Rows},
    verify,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn lines(list: &mut List, rows: Rows) -> (bool, Vec<String>) {
    let report = verify(list, &mut { rows }, Shard(0), NOW).unwrap();
    (report.is_right(), report.lines())
}

fn wrong(list: &mut List) -> Vec<String> {
    let (right, mut lines) = lines(list, Rows(Some((0, 0))));
    assert!(!right, "{lines:#?}");
    lines.retain(|line| line.starts_with("wrong"));
    lines
}

fn five() -> List {
    List::of(&[(1, 100, 2), (2, 100, 3), (3, 200, 4), (4, 200, 5), (5, 200, 6)])
}

#[test]
fn a_journal_that_is_right_is_said_to_be() {
    let expected = [
        "ok       jobs      5 read, 754 bytes, CRC and content of each",
        "ok       sequence  seq 1 to 5",
        "ok       epochs    up to 200",
        "ok       fence     seq 5, the end of 5 jobs from seq 1 on",
        "ok       pending   15 events in 1 epochs",
        "ok       ledger    20 events journaled, 5 applied and 15 not yet",
    ];
    assert_eq!(lines(&mut five(), Rows(Some((100, 5)))), (true, expected.map(String::from).into()));
}

#[test]
fn an_empty_journal_is_right() {
    let (right, lines) = lines(&mut List::of(&[]), Rows(Some((0, 0))));
    assert!(right, "{lines:#?}");
    assert_eq!(lines[3], "ok       fence     seq 0, the end of 0 jobs from seq 1 on");
}

#[test]
fn tables_that_are_away_leave_the_ledger_open() {
    let (right, lines) = lines(&mut five(), Rows(None));
    assert!(right);
    assert_eq!(
        lines[5],
        "unknown  ledger    the tables were not read: the tables cannot be written now: no connection"
    );
}

#[test]
fn a_corrupt_job_is_named_and_the_rest_is_checked() {
    let mut list = five();
    list.corrupt(2);
    list.corrupt(4);
    assert_eq!(
        wrong(&mut list),
        [
            "wrong    jobs      seq 2, 143 bytes: job does not start with ESJB",
            "wrong    jobs      seq 4, 143 bytes: job does not start with ESJB",
            "wrong    ledger    20 events journaled, 0 applied and 12 not yet: 8 are missing",
        ]
    );
}

#[test]
fn a_job_that_is_gone_is_missed() {
    let mut list = five();
    list.jobs.remove(1);
    assert_eq!(
        wrong(&mut list),
        [
            "wrong    sequence  seq 2 is missing",
            "wrong    fence     seq 5, but 4 jobs from seq 1 on",
            "wrong    ledger    20 events journaled, 0 applied and 17 not yet: 3 are missing",
        ]
    );
    let mut list = five();
    list.jobs.pop();
    list.jobs.pop();
    let missing = wrong(&mut list);
    assert_eq!(missing[0], "wrong    sequence  seq 4 to 5 are missing");
    let mut list = five();
    let again = list.jobs[4].clone();
    list.jobs.insert(0, again);
    assert!(wrong(&mut list).iter().any(|line| line.contains("comes again")));
}

#[test]
fn pending_counts_that_are_too_high_are_named() {
    let mut list = five();
    list.count(100, 1);
    let line = format!("wrong    pending   epoch 100: 6 of {FINGERPRINT}, 5 in the jobs");
    assert_eq!(wrong(&mut list), [line]);
    let mut list = five();
    list.pending.get_mut(&list.fence.epoch).unwrap().push(None);
    assert_eq!(wrong(&mut list), ["wrong    pending   epoch 200: 1 rows cannot be read"]);
}

/// What is said of pending counts when of three epochs, received 100, 50 and 0 s before the last
/// job, these many events of 2, 3 and 4 are pending.
fn pending(counted: [u64; 3], fenced: impl Fn(&mut List)) -> String {
    let mut list = List::of(&[(1, 100, 2), (2, 150, 3), (3, 200, 4)]);
    list.pending.clear();
    for (epoch, count) in [100, 150, 200].into_iter().zip(counted) {
        if count > 0 {
            list.count(epoch, count);
        }
    }
    fenced(&mut list);
    let (right, lines) = lines(&mut list, Rows(Some((0, 0))));
    assert!(right, "{lines:#?}");
    lines[4].clone()
}

#[test]
fn an_end_of_the_list_that_is_not_pending_is_not_yet_counted() {
    for (counted, line) in [
        ([0, 0, 0], "ok       pending   0 events in 3 epochs, 9 not yet counted"),
        ([1, 0, 0], "ok       pending   1 events in 3 epochs, 8 not yet counted"),
        ([2, 0, 0], "ok       pending   2 events in 3 epochs, 7 not yet counted"),
        // too young to say
        ([2, 0, 1], "ok       pending   3 events in 3 epochs, 6 not yet counted"),
    ] {
        assert_eq!(pending(counted, |_| ()), line);
    }
}

#[test]
fn pending_counts_that_were_passed_over_are_said_and_not_wrong() {
    let unknown = "unknown  pending   2 events of 1 errors are not pending, and later ones are: their \
                   counts were lost, or came meanwhile; live counts may be too low until they are \
                   applied";
    for counted in [[0, 1, 0], [0, 3, 4], [0, 0, 1]] {
        assert_eq!(pending(counted, |_| ()), unknown);
        // a successor counts what it has found anew, in its own time
        let line = pending(counted, |list| list.fence.term.0 += 1);
        assert!(line.starts_with("ok "), "{line}");
    }
}

#[test]
fn what_a_server_does_meanwhile_is_no_damage() {
    // commits while the last page is read, counted at once
    let mut list = five();
    list.before_page.insert(4, |list| {
        list.push(6, 200, 7);
        list.count(200, 7);
        list.push(7, 300, 8);
        list.count(300, 8);
    });
    let (right, lines) = lines(&mut list, Rows(Some((0, 0))));
    assert!(right, "{lines:#?}");
    assert_eq!(lines[5], "ok       ledger    20 events journaled, 0 applied and 20 not yet");

    // trims what was not read yet, whenever that is
    for page in 1..=6 {
        for upto in [2, 5] {
            let mut list = five();
            let trim: fn(&mut List) =
                if upto == 2 { |list| list.trim(2) } else { |list| list.trim(5) };
            list.before_page.insert(page, trim);
            let (right, lines) = self::lines(&mut list, Rows(None));
            assert!(right, "page {page}: {lines:#?}");
        }
    }
}

#[test]
fn a_fence_behind_its_jobs_is_wrong() {
    let mut list = five();
    list.fence.seq.0 = 4;
    list.fence.events -= 6;
    assert_eq!(
        wrong(&mut list),
        [
            "wrong    fence     seq 4, but 5 jobs from seq 1 on".to_owned(),
            format!("wrong    pending   epoch 200: 15 of {FINGERPRINT}, 9 in the jobs"),
        ]
    );
}
