//! `GET /errors`: lists of errors, page by page.

use serde::Serialize;

use super::{ErrorView, Front, Operations, answer::Answer, fault::Fault, health::ask_with};
use crate::query;

/// A page of errors with their live counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Its errors, in the list's order.
    pub errors: Vec<ErrorView>,
    /// What asks for the next page; `None` at the list's end.
    pub next_cursor: Option<String>,
}

/// Lists errors.
pub async fn list<I>(front: &Front<I>, query: Option<&str>) -> Result<Answer, Fault> {
    let query = query::list(query, front.operations.clock().wall())?;
    let list = move |operations: &dyn Operations| operations.list(&query);
    let page = ask_with(front, &front.list_calls, "errors", list).await??;
    Ok(Answer::success(page, front.operations.clock().wall()))
}
