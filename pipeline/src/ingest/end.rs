//! Where a stream of the graph ends.

use timely::{
    dataflow::{
        StreamVec, channels::pact::Pipeline, operators::generic::builder_rc::OperatorBuilder,
    },
    progress::operate::FrontierInterest,
};

/// Ends a stream.
pub(crate) trait End<D> {
    /// Calls `take` with each record and its time. The operator runs when there are records, and not,
    /// as timely's `sink` does, whenever its frontier moves: that is with each flight.
    fn end(self, name: &str, take: impl FnMut(u64, D) + 'static);
}

impl<D: 'static> End<D> for StreamVec<'_, u64, D> {
    fn end(self, name: &str, mut take: impl FnMut(u64, D) + 'static) {
        let mut builder = OperatorBuilder::new(name.to_owned(), self.scope());
        let mut input = builder.new_input(self, Pipeline);
        builder.set_notify_for(0, FrontierInterest::Never);
        builder.build(move |_capabilities| {
            move |_frontiers| {
                input.for_each_stamp(|time, records| {
                    let at = time.least().copied().unwrap_or_default();
                    for record in records.flat_map(|records| records.drain(..)) {
                        take(at, record);
                    }
                });
            }
        });
    }
}
