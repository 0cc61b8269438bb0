//! Tables behind faults.

use errsift_ops::{fingerprint::Fingerprint, id::Shard};

use super::{Faulty, How};
use crate::ports::{
    errors::{
        Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
        ErrorsWriter, Guards, Range, Settled,
    },
    words::Words,
};

impl<E: Errors> Errors for Faulty<E> {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(Faulty::new(self.store.writer(), self.faults.clone()))
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(Faulty::new(self.store.reader(), self.faults.clone()))
    }
}

fn errors_fault(how: How) -> ErrorsFault {
    match how {
        How::Refused => ErrorsFault::Transient("fault on purpose".to_owned()),
        How::LostRequest | How::LostAnswer | How::Late | How::NotDurable => {
            ErrorsFault::Unknown("fault on purpose".to_owned())
        }
    }
}

impl ErrorsWriter for Faulty<Box<dyn ErrorsWriter>> {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        self.arrive();
        match self.faults.next() {
            None => self.store.take_guards(claim),
            Some(how) => Err(errors_fault(how)),
        }
    }

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        self.arrive();
        let Some(how) = self.faults.next_change() else {
            return self.store.insert_details(shard, rows);
        };
        if how == How::LostAnswer {
            self.store.insert_details(shard, rows)?;
        }
        if how == How::Late {
            let rows = rows.to_vec();
            self.delay(move |tables| drop(tables.insert_details(shard, &rows)));
        }
        Err(errors_fault(how))
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        self.arrive();
        let Some(how) = self.faults.next_change() else {
            return self.store.apply(claim, range);
        };
        if how == How::LostAnswer {
            self.store.apply(claim, range)?;
        }
        if how == How::Late {
            let (claim, Range { after, upto, seq, .. }) = (*claim, *range);
            let (parts, rows) = (range.parts.to_vec(), range.rows.to_vec());
            self.delay(move |tables| {
                let words = Words::NONE;
                let range = Range { after, upto, seq, parts: &parts, rows: &rows, words };
                drop(tables.apply(&claim, &range));
            });
        }
        Err(errors_fault(how))
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        self.arrive();
        match self.faults.next() {
            None => self.store.guards(shard),
            Some(how) => Err(errors_fault(how)),
        }
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        self.arrive();
        match self.faults.next() {
            None => self.store.settled(shard),
            Some(how) => Err(errors_fault(how)),
        }
    }
}

impl ErrorsReader for Faulty<Box<dyn ErrorsReader>> {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        match self.faults.next() {
            None => self.store.read(shard, fingerprint),
            Some(how) => Err(errors_fault(how)),
        }
    }
}
