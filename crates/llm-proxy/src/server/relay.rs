//! The life of a request, from its arrival to the beginning of its answer. If you read one file,
//! read this one.
//!
//! The rules say what to try ([`engine::Rotation`]); the upstream says what came of it; here the
//! two are brought together until there is an answer.

use std::sync::Arc;

use engine::{Step, Verdict};
use http::Response;

use super::body::ClientBody;
use super::deliver::deliver;
use super::intake::Intake;
use super::journey::Journey;
use crate::app::App;

/// Serves one proxied request.
pub(crate) async fn relay(app: &Arc<App>, intake: Intake) -> Response<ClientBody> {
    let mut journey = match Journey::begin(app, intake) {
        Ok(journey) => journey,
        Err(error) => return error.into_counted(app),
    };
    loop {
        match journey.next() {
            Step::Try(attempt) => match journey.attempt(attempt).await {
                Ok(answered) => return deliver(journey, answered),
                Err(failed) => match journey.settle(failed) {
                    Verdict::Rotate | Verdict::Repair => {}
                    Verdict::Return => return journey.original(),
                },
            },
            Step::WaitUntil(moment) => journey.wait(moment).await,
            Step::Refuse(refusal) => return journey.refuse(&refusal),
        }
    }
}
