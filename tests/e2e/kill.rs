//! `kill -9` of each process in the middle of a load: what was acknowledged is counted exactly
//! once, what was not at most once.

use crate::{
    load::{Barrage, Fate, assert_exactly_once},
    stack::Stack,
};

const CONNECTIONS: u64 = 16;
const FLAGS: [&str; 2] = ["--flush-interval", "300ms"];
/// Acks before, between and after the kills: several epochs' worth, so that kills fall anywhere.
const ACKS: u64 = 700;
const KILLS: usize = 4;

fn survives(mut stack: Stack, mut kill: impl FnMut(&mut Stack, &Barrage)) {
    let barrage = Barrage::start(stack.errsift.address(), CONNECTIONS);
    barrage.await_acks(ACKS);
    for _ in 0..KILLS {
        kill(&mut stack, &barrage);
        barrage.await_acks(ACKS);
    }
    let attempts = barrage.stop();
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
    assert!(stack.errsift.process.is_running());
}

#[test]
fn killed_errsift_on_redis_and_mariadb() {
    survives(Stack::servers(&FLAGS), |stack, _| stack.errsift.process.restart());
}

#[test]
fn killed_errsift_on_the_embedded_store() {
    survives(Stack::embedded(&FLAGS), |stack, _| stack.errsift.process.restart());
}

#[test]
fn killed_redis() {
    survives(Stack::servers(&FLAGS), |stack, _| stack.outside().redis.process.restart());
}

#[test]
fn killed_mariadb_does_not_hold_up_acks() {
    survives(Stack::servers(&FLAGS), |stack, barrage| {
        stack.outside().mariadb.process.kill_9();
        barrage.await_acks(ACKS);
        stack.outside().mariadb.process.restart();
    });
}

#[test]
fn killed_errsift_while_mariadb_is_away() {
    survives(Stack::servers(&FLAGS), |stack, barrage| {
        stack.outside().mariadb.process.kill_9();
        barrage.await_acks(ACKS / 2);
        stack.errsift.process.restart();
        barrage.await_acks(ACKS / 2);
        stack.outside().mariadb.process.restart();
    });
}

#[test]
fn every_server_killed_at_once() {
    survives(Stack::servers(&FLAGS), |stack, _| {
        stack.errsift.process.kill_9();
        let servers = stack.outside();
        servers.redis.process.kill_9();
        servers.mariadb.process.kill_9();
        servers.redis.process.restart();
        servers.mariadb.process.restart();
        stack.errsift.process.restart();
    });
}

/// With details of every attempt at hand, the load must have been interrupted where it counts.
#[test]
fn a_kill_interrupts_attempts() {
    let mut stack = Stack::embedded(&FLAGS);
    let barrage = Barrage::start(stack.errsift.address(), CONNECTIONS);
    barrage.await_acks(100);
    stack.errsift.process.restart();
    barrage.await_acks(100);
    let attempts = barrage.stop();
    assert!(attempts.iter().any(|attempt| attempt.fate == Fate::Maybe));
    stack.settle();
    assert_exactly_once(&stack.tables(), &attempts);
}
