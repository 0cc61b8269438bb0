//! An export of events is counted again, into the same rows.

use super::place::{Place, SMALL, assert_same, log};
use crate::{
    command,
    support::{errsift, mariadb::Mariadb},
};

fn export(place: &Place) -> String {
    let mut export = errsift::command();
    export.args(["export", "events"]).args(place.tables_flags());
    let ended = command::end(export, b"");
    ended.assert_says(0, &[]);
    ended.stdout
}

#[test]
fn an_export_of_events_is_counted_again() {
    let from = Place::embedded();
    from.replay(&[&from.write("log", log(3_000, 120))]).assert_says(0, &["3000 counted"]);
    let mariadb = Mariadb::start();
    let to = Place::on(&mariadb, "exported");
    let file = to.write("events.ndjson", export(&from));
    let small = [&SMALL[..], &["--workers", "2", &file]].concat();
    let found = to.summary(0, &small);
    assert_eq!((found["events"].as_u64(), found["distinct"].as_u64()), (Some(3_000), Some(120)));
    assert_same(&to.tables(Some(&mariadb)), &from.tables(None));
    assert_eq!(to.words(Some(&mariadb)), from.words(None));
    let again = Place::embedded();
    again.replay(&[&again.write("events", export(&from))]).assert_says(0, &["3000 counted"]);
    assert_eq!(export(&again), export(&from));
    // once
    assert_eq!(to.summary(0, &[&file])["events"], 0);
}
