//! Something of the client's that could not be fetched. What is said of keys and limits there is
//! said of somebody else, so this stands before all that tells of them.

use engine::FaultKind::CallerMistake;

use super::{ANY, Rule, Statuses, Whom};
use crate::evidence::Sign;

/// Statuses with which it is told.
const REFUSED: Statuses = Statuses::Of(&[400, 403, 404, 422, 424]);

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "file, page or server of the client's that could not be had",
        statuses: REFUSED,
        signs: &[Sign::FetchFailed],
        kind: CallerMistake,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "address of a picture, by code",
        statuses: REFUSED,
        labels: &["invalid_image_url"],
        none: &["not support", "unsupported"],
        kind: CallerMistake,
        whom: Whom::Request,
        ..ANY
    },
];
