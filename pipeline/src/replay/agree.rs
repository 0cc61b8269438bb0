//! One worker decides, and all workers hear of it.

use std::{cell::RefCell, rc::Rc};

use serde::{Serialize, de::DeserializeOwned};
use timely::{
    dataflow::operators::{
        Inspect, Probe,
        vec::{Broadcast, Input},
    },
    worker::Worker,
};

/// What the first of all workers says, told to every one.
pub(super) fn agree<D>(worker: &mut Worker, decide: impl FnOnce() -> D) -> D
where
    D: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let heard = Rc::new(RefCell::new(None));
    let (mut input, probe) = worker.dataflow_named::<u64, _, _>("Agree", |scope| {
        let heard = Rc::clone(&heard);
        let (input, said) = scope.new_input();
        let told = said.broadcast().inspect(move |said: &D| {
            heard.borrow_mut().replace(said.clone());
        });
        (input, told.probe().0)
    });
    if worker.index() == 0 {
        input.send(decide());
    }
    input.close();
    while !probe.done() {
        worker.step_or_park(None);
    }
    let heard = heard.borrow_mut().take();
    heard.expect("the first worker has said something before the dataflow was done")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_hears_the_same() {
        let guards = timely::execute(timely::Config::process(3), |worker| {
            let index = worker.index();
            let first = agree(worker, || format!("from {index}"));
            (first, agree(worker, || index + 7))
        });
        let heard: Vec<_> = guards.unwrap().join().into_iter().map(Result::unwrap).collect();
        assert_eq!(heard, vec![("from 0".to_owned(), 7); 3]);
    }
}
