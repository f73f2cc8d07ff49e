//! All that one reply tells, gathered once for the rules to look at.

use std::time::Duration;

use engine::{Budget, Dimension, Scope, Timestamp, Window};

use crate::Reply;
use crate::body::{ErrorBody, Form};
use crate::headers::Headers;
use crate::profile::{self, Bucket, Profile};
use crate::tree::{scalar, walk};
use crate::{clock, history, limits, words};

/// A wait that no limit per minute asks for.
const LONG: Duration = Duration::from_hours(1);

/// Words that name a model.
const MODEL: &[&str] = &[
    "{model}",
    "and model",
    "for model",
    "this model",
    "per model",
    "permodel",
    "model `",
    "model '",
];

/// Words that name an account as a whole.
const ACCOUNT: &[&str] = &[
    "for team",
    "your team",
    "trial key",
    "your account",
    "per account",
    "this account",
    "your api key",
    "this api key",
    "per api key",
];

/// A fact about a reply that is not a word in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The text names a limit per month, a limit per day, or a shorter one.
    MonthNamed,
    DayNamed,
    ShorterNamed,
    /// The text or the type names tokens.
    TokensNamed,
    /// The text names the model that was asked for.
    ModelNamed,
    /// A limit is nothing at all.
    NoLimitAtAll,
    /// The request alone is larger than the limit.
    TooLarge,
    /// A `retry-after` states a time.
    RetryAfter,
    /// The body states a wait of an hour or more.
    LongWait,
    /// Headers say that nothing is left for the month, for the day, or of tokens.
    MonthSpent,
    DaySpent,
    TokensSpent,
    /// Headers say that there is something left of each budget.
    NothingSpent,
    /// The error came within a reply that had begun as a success.
    WithinSuccess,
    /// The body is an HTML page.
    Page,
    /// What is refused is in the messages, left there by another provider.
    HistoryRefused,
}

/// One reply with its body, headers and budgets read.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) provider: &'a str,
    pub(crate) now: Timestamp,
    /// The reply's status or, within a success, the one the error stands for; 0 if none.
    pub(crate) status: u16,
    pub(crate) within_success: bool,
    pub(crate) body: ErrorBody,
    pub(crate) headers: Headers,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) profile: Profile,
}

impl<'a> Evidence<'a> {
    pub(crate) fn gather(reply: &Reply<'a>, mut body: ErrorBody) -> Self {
        mask(&mut body.text, reply.model);
        mask(&mut body.claim, reply.model);
        let profile = profile::of(reply.provider);
        let headers = Headers::of(reply.headers, &body.value);
        let budgets = limits::read(&headers, &profile, reply.now);
        let (provider, now, status) = (reply.provider, reply.now, reply.status);
        Self { provider, now, status, within_success: false, body, headers, budgets, profile }
    }

    pub(crate) fn window(&self) -> Option<Window> {
        words::window(&self.body.claim)
    }

    pub(crate) fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.body.text.contains(phrase))
    }

    pub(crate) fn spent(&self) -> impl Iterator<Item = &Budget> {
        self.budgets.iter().filter(|budget| budget.remaining == Some(0))
    }

    pub(crate) fn shows(&self, sign: Sign) -> bool {
        match sign {
            Sign::MonthNamed => self.window() == Some(Window::Month),
            Sign::DayNamed => self.window() == Some(Window::Day),
            Sign::ShorterNamed => {
                matches!(self.window(), Some(Window::Second | Window::Minute | Window::Hour))
            }
            Sign::TokensNamed => self.names_tokens(),
            Sign::ModelNamed => self.body.text.contains("{model}"),
            Sign::NoLimitAtAll => self.has_no_limit_at_all(),
            Sign::TooLarge => self.is_too_large(),
            Sign::RetryAfter => self.headers.retry_after(self.now).is_some(),
            Sign::LongWait => clock::written(self).is_some_and(|at| self.now.until(at) >= LONG),
            Sign::MonthSpent => self.spent().any(|budget| budget.window == Window::Month),
            Sign::DaySpent => self.spent().any(|budget| budget.window == Window::Day),
            Sign::TokensSpent => self.spent().any(|budget| budget.dimension == Dimension::Tokens),
            Sign::NothingSpent => !self.budgets.is_empty() && self.spent().next().is_none(),
            Sign::WithinSuccess => self.within_success,
            Sign::Page => self.body.form == Form::Html,
            Sign::HistoryRefused => history::refused(&self.body).is_some(),
        }
    }

    /// The scope of a rate limit: as the text says, else as the provider counts.
    pub(crate) fn bucket(&self) -> Scope {
        let named = ACCOUNT.iter().any(|phrase| self.body.claim.contains(phrase));
        let account = named || self.profile.bucket == Bucket::Key;
        if account && !self.says(MODEL) { Scope::Key } else { Scope::Deployment }
    }

    /// The scope of an outage: the model if one is named or others serve behind this provider.
    pub(crate) fn outage(&self) -> Scope {
        if self.profile.passes_on || self.body.text.contains("model") {
            Scope::Model
        } else {
            Scope::Provider
        }
    }

    fn names_tokens(&self) -> bool {
        words::dimension(&self.body.claim) == Dimension::Tokens
            || self.body.is_labelled(&["tokens"])
    }

    fn has_no_limit_at_all(&self) -> bool {
        let zero = |value| scalar(value).is_some_and(|text| text == "0");
        words::no_limit_at_all(&self.body.text)
            || walk(&self.body.value).any(|(key, value)| key == "quotaValue" && zero(value))
            || self.budgets.iter().any(|budget| budget.limit == Some(0))
    }

    fn is_too_large(&self) -> bool {
        let figures = words::figures(&self.body.text);
        self.says(&["request too large"])
            || figures.is_some_and(|figures| figures.requested > figures.limit)
    }
}

/// Puts a mark in place of the model's name, which the client has chosen: no name may pass for
/// the provider's words. A name of letters only is left; it cannot make up a phrase.
fn mask(text: &mut String, model: &str) {
    let lower = model.to_ascii_lowercase();
    if lower.len() > 1 && !lower.chars().all(|letter| letter.is_ascii_lowercase()) {
        *text = text.replace(&lower, "{model}");
    }
}
