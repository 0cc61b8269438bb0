//! Request bodies become events; what is not an event leaves by its own stream.
//!
//! Each body is one JSON object, as [`body`](crate::body) reads it.

use std::sync::Arc;

use bytes::Bytes;
use timely::{
    dataflow::{
        StreamVec,
        channels::pact::Pipeline,
        operators::generic::{OutputBuilder, builder_rc::OperatorBuilder},
    },
    progress::{Timestamp as Time, operate::FrontierInterest},
};

use crate::{body::Fault, event::Event, reported::Reported, timestamp::Timestamp};

/// A body as it arrived, with whoever waits for the answer.
#[derive(Debug)]
pub struct Received<W> {
    /// The request's body.
    pub body: Bytes,
    /// When it arrived.
    pub at: Timestamp,
    /// The one service that its sender may report for; `None` if any.
    pub service: Option<Arc<str>>,
    /// Who waits.
    pub waiter: W,
}

/// Well-formed events, each with who waits for it.
pub type Events<'scope, T, W> = StreamVec<'scope, T, (Reported, W)>;

/// Faults, each with who waits to hear of it.
pub type Faults<'scope, T, W> = StreamVec<'scope, T, (Fault, W)>;

/// Splits received bodies into events and faults.
pub trait Decode<'scope, T: Time, W> {
    /// Decodes each body; both streams carry the time at which it arrived in the dataflow.
    ///
    /// ```
    /// use errsift_ops::{decode::{Decode, Received}, timestamp::Timestamp};
    /// use timely::dataflow::operators::{Capture, ToStream, capture::Extract, vec::Map};
    ///
    /// let (events, faults) = timely::example(|scope| {
    ///     let bodies = [r#"{"message":"boom"}"#, r#"{"mesage":"boom"}"#];
    ///     let (events, faults) = bodies
    ///         .map(|body| {
    ///             let at = Timestamp::from_millis(7);
    ///             Received { body: body.into(), at, service: None, waiter: () }
    ///         })
    ///         .to_stream(scope)
    ///         .decode();
    ///     let events = events.map(|(event, ())| {
    ///         let at = event.timestamp.millis();
    ///         (event.into_payload().map(|words| words.message), at)
    ///     });
    ///     let faults = faults.map(|(fault, ())| fault.to_string());
    ///     (events.capture(), faults.capture())
    /// });
    /// assert_eq!(events.extract(), [(0, vec![(Some("boom".to_owned()), 7)])]);
    /// assert_eq!(faults.extract(), [(0, vec!["mesage: unknown field".to_owned()])]);
    /// ```
    fn decode(self) -> (Events<'scope, T, W>, Faults<'scope, T, W>);
}

impl<'scope, T: Time, W: 'static> Decode<'scope, T, W> for StreamVec<'scope, T, Received<W>> {
    fn decode(self) -> (Events<'scope, T, W>, Faults<'scope, T, W>) {
        let mut builder = OperatorBuilder::new("Decode".to_owned(), self.scope());
        let mut input = builder.new_input(self, Pipeline);
        builder.set_notify_for(0, FrontierInterest::Never);
        let (events, event_stream) = builder.new_output();
        let (faults, fault_stream) = builder.new_output();
        let mut events = OutputBuilder::from(events);
        let mut faults = OutputBuilder::from(faults);
        builder.build(move |_capabilities| {
            move |_frontiers| {
                let mut events = events.activate();
                let mut faults = faults.activate();
                input.for_each_stamp(|time, bodies| {
                    let mut events = events.session(&time);
                    let mut faults = faults.session(&time);
                    for received in bodies.flat_map(|bodies| bodies.drain(..)) {
                        let Received { body, at, service, waiter } = received;
                        match Reported::read(body, at, service) {
                            Ok(event) => events.give((event, waiter)),
                            Err(fault) => faults.give((fault, waiter)),
                        }
                    }
                });
            }
        });
        (event_stream, fault_stream)
    }
}

/// Makes an event that names no service one of its sender's; one that names another is a fault.
/// An empty name counts as none, as in the fingerprint.
pub(crate) fn of(mut event: Event, service: Option<&str>) -> Result<Event, Fault> {
    let Some(service) = service else { return Ok(event) };
    match event.service.as_deref() {
        None | Some("") => {
            event.service = Some(service.to_owned());
            Ok(event)
        }
        Some(named) if named == service => Ok(event),
        Some(_) => Err(Fault {
            field: Some("service".to_owned()),
            reason: "not the one that the sender's key is for".to_owned(),
            forbidden: true,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_senders_or_refused() {
        let named = |service: Option<&str>| {
            let event = Event { service: service.map(str::to_owned), ..Event::default() };
            of(event, Some("api")).map(|event| event.service)
        };
        let own = Ok(Some("api".to_owned()));
        assert_eq!(named(None), own);
        assert_eq!(named(Some("")), own);
        assert_eq!(named(Some("api")), own);
        let fault = named(Some("secret-name")).unwrap_err();
        assert!(fault.forbidden);
        assert_eq!(fault.to_string(), "service: not the one that the sender's key is for");
        let free = Event { service: Some("web".to_owned()), ..Event::default() };
        assert_eq!(of(free.clone(), None), Ok(free));
    }
}
