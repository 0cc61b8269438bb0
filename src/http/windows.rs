//! `GET /windows`: all errors, or a service's, over time.

use serde::{Serialize, Serializer};

use super::{Front, answer::Answer, fault::Fault, health::ask};
use crate::query::{self, Points};

/// Points as they are answered.
pub struct Series(pub Points);

#[derive(Serialize)]
struct Shape {
    since: String,
    until: String,
    step_s: u32,
    points: Vec<PointShape>,
}

#[derive(Serialize)]
struct PointShape {
    start: String,
    count: u64,
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Points { span, points } = &self.0;
        let points = points
            .iter()
            .map(|point| PointShape { start: point.start.to_string(), count: point.count })
            .collect();
        Shape {
            since: span.since.to_string(),
            until: span.until.to_string(),
            step_s: span.step_s,
            points,
        }
        .serialize(serializer)
    }
}

/// Shows counts over time.
pub async fn windows<I>(front: &Front<I>, query: Option<&str>) -> Result<Answer, Fault> {
    let query = query::windows(query, front.operations.clock().wall())?;
    let points = ask(front, "errors", move |operations| operations.windows(&query)).await??;
    Ok(Answer::success(Series(points), front.operations.clock().wall()))
}
