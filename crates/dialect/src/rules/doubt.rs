//! Refusals that read like the caller's own mistake, but may be this provider's alone: another is
//! asked before the client is told.

use super::{Rule, allowance, key};
use crate::ability;
use crate::evidence::Evidence;
use crate::form;
use crate::history;
use crate::quoted::without_quotations;

/// So many words may stand before a phrase with which a message begins.
const LEADING_WORDS: usize = 3;

/// Whether a message begins with what is said of money or of a key. Such words do not count where
/// the client has them too, since providers give back what they refuse; but a message that is
/// nothing else may well be the provider's own, sent to somebody who asks what it means.
pub(super) fn may_be_of_the_account(seen: &Evidence<'_>) -> bool {
    if seen.is_about_contents() {
        return false;
    }
    let message = without_quotations(&seen.body.message).to_ascii_lowercase();
    let mut sections = [allowance::RULES, key::RULES].into_iter().flatten();
    sections.any(|rule| rule.statuses.hold(seen.status) && begins(rule, &message))
}

fn begins(rule: &Rule, message: &str) -> bool {
    let is_at_the_beginning = |phrase: &&str| {
        let head = message.find(*phrase).map(|at| &message[..at]);
        head.is_some_and(|head| head.split_whitespace().count() <= LEADING_WORDS)
    };
    rule.any.iter().any(is_at_the_beginning)
        && rule.all.iter().all(|phrase| message.contains(phrase))
        && !rule.none.iter().any(|phrase| message.contains(phrase))
}

/// Whether what is lacking is a form, a number or a member of something that hardly anybody takes,
/// or a member of the messages that the request does not have.
pub(super) fn may_be_of_the_request(seen: &Evidence<'_>) -> bool {
    ability::is_of_this_request(&seen.body, &seen.sent)
        || form::names_a_stranger(&seen.body, &seen.sent)
        || history::refuses_what_is_not_sent(&seen.body, &seen.sent)
}
