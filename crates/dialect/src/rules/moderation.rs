//! A moderator's 403. It may quote the request, so it is recognised before any word of a quotation
//! can be taken for one about keys or money. Before it stand accounts that are shut for what was
//! asked of them: that speaks of contents too, but of no request.

use engine::FaultKind::{ContentFiltered, KeyRejected};

use super::{ANY, Rule, Statuses, Whom};
use crate::evidence::Sign;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "account that is shut for a violation",
        statuses: Statuses::Of(&[0, 400, 401, 403, 404, 422, 451]),
        none: &["flagged"],
        signs: &[Sign::AccountShut],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    Rule {
        name: "moderation, by its metadata",
        statuses: Statuses::Of(&[403]),
        signs: &[Sign::Moderated],
        kind: ContentFiltered,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "moderation, by code or sentence",
        statuses: Statuses::Of(&[403]),
        labels: &[
            "content_filter",
            "content_policy",
            "content_policy_violation",
            "moderation",
            "moderation_blocked",
            "moderation_error",
        ],
        any: &[
            "violates usage guidelines",
            "requires moderation",
            "input was flagged",
            "prompt was flagged",
            "content was flagged",
            "flagged by moderation",
            "content management policy",
            "content filter",
            "safety_check",
            "safety system",
        ],
        kind: ContentFiltered,
        whom: Whom::Request,
        ..ANY
    },
];
