//! All that one reply tells, gathered once for the rules to look at.

mod signs;

use std::cell::OnceCell;
use std::time::Duration;

use engine::{Budget, Dimension, Scope, Timestamp, Window};

use crate::Reply;
use crate::body::ErrorBody;
use crate::echo::{self, Whose};
use crate::headers::Headers;
use crate::pairs::Pairs;
use crate::profile::{self, Bucket, Profile};
use crate::sent::Sent;
use crate::withheld::Shared;
use crate::{detail, limits, shares, words};

pub(crate) use signs::Sign;

/// A wait that no limit per minute asks for.
pub(crate) const LONG: Duration = Duration::from_hours(1);

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
    "key limit",
];

/// Statuses that tell of the account, not of the request: no words of the client are quoted. A
/// 403 may be a moderator's, who quotes them.
const OF_THE_ACCOUNT: &[u16] = &[401, 402, 429];

/// What `param` begins with if it leads to a part of the request that its author has written.
const CONTENTS: &[&str] =
    &["messages", "tools", "tool_choice", "functions", "function_call", "input", "prompt"];

/// One reply with its body, headers and budgets read.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) provider: &'a str,
    /// The model that was asked for.
    pub(crate) model: &'a str,
    pub(crate) now: Timestamp,
    /// The reply's status or, within a success, the one the error stands for; 0 if none.
    pub(crate) status: u16,
    pub(crate) within_success: bool,
    pub(crate) body: ErrorBody,
    pub(crate) headers: Headers<'a>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) profile: Profile,
    pub(crate) sent: Sent<'a>,
    /// What the reply has in common with the request.
    pub(crate) shared: Shared,
    /// Of all forms of the body's text.
    pairs: Pairs,
    window: OnceCell<Option<Window>>,
    /// Whether the request may be at fault, and the text may have the client's words in it.
    doubtful: bool,
}

impl<'a> Evidence<'a> {
    pub(crate) fn gather(reply: &Reply<'a>, body: ErrorBody) -> Self {
        let sent = Sent::new(reply.request);
        let doubtful = !OF_THE_ACCOUNT.contains(&reply.status);
        let is_own = |text: &str| !doubtful || !sent.holds(&text.to_ascii_lowercase());
        let mut body = body.opened(is_own);
        let shared = Shared::of(&detail::plain(&body.message), &body.text, reply.request);
        for text in [&mut body.text, &mut body.claim, &mut body.own_text, &mut body.own_claim] {
            if let Some(own) = shared.unrepeated(text) {
                *text = own;
            }
            mask(text, reply.model);
        }
        let profile = profile::of(reply.provider);
        let headers = Headers::of(reply.headers, &body.value);
        let budgets = limits::read(&headers, &profile, reply.now);
        let (provider, now, status) = (reply.provider, reply.now, reply.status);
        let forms = [&body.text, &body.claim, &body.own_text, &body.own_claim];
        Self {
            pairs: Pairs::of(forms.map(String::as_str)),
            window: OnceCell::new(),
            provider,
            model: reply.model,
            now,
            status,
            within_success: false,
            body,
            headers,
            budgets,
            profile,
            sent,
            shared,
            doubtful,
        }
    }

    /// The window that the text means. Where a sentence lists several, such as the limits of the
    /// minute and of the day, the shorter one is the safe guess; violations that are told one by
    /// one are all met.
    pub(crate) fn window(&self) -> Option<Window> {
        *self.window.get_or_init(|| {
            if let Some(spent) = shares::spent(self.claim()) {
                return Some(spent);
            }
            let is_said = |phrase: &str| self.holds(self.claim(), phrase) && self.is_own(phrase);
            let (longest, shorter) = words::windows(is_said);
            let is_listed = matches!(longest, Some(Window::Day | Window::Month))
                && !self.claim().contains("perday");
            shorter.filter(|_| is_listed).or(longest)
        })
    }

    pub(crate) fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.holds(&self.body.text, phrase))
    }

    /// Whether one of the phrases is said, also in quotation marks, and not only as the client's.
    /// Where a part of what the client has written is refused, quotation marks show that part.
    pub(crate) fn says_itself(&self, phrases: &[&str]) -> bool {
        let own_only = self.is_about_a_part();
        let text = if own_only { &self.body.own_text } else { &self.body.text }.as_str();
        let own =
            |phrase| !self.doubtful || echo::whose(phrase, text, &self.sent) != Whose::Clients;
        phrases.iter().any(|phrase| text.contains(phrase) && own(phrase))
    }

    /// Whether the provider itself says one of the phrases, in words that are not the client's.
    pub(crate) fn tells(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.holds(self.text(), phrase) && self.is_own(phrase))
    }

    /// Whether one of the body's texts holds a phrase.
    fn holds(&self, text: &str, phrase: &str) -> bool {
        self.pairs.may_hold(phrase) && text.contains(phrase)
    }

    /// What counts of the text.
    pub(crate) fn text(&self) -> &str {
        if self.hides_quotations() { &self.body.own_text } else { &self.body.text }
    }

    /// What counts of the text without the sentences that sell a larger plan.
    pub(crate) fn claim(&self) -> &str {
        if self.hides_quotations() { &self.body.own_claim } else { &self.body.claim }
    }

    /// A 403 has the names of limits between quotation marks too.
    fn hides_quotations(&self) -> bool {
        self.doubtful && self.status != 403
    }

    /// Whether a phrase that was found is not one the client has put there.
    fn is_own(&self, phrase: &str) -> bool {
        let own = || echo::whose(phrase, self.text(), &self.sent) == Whose::Providers;
        !self.doubtful || !self.is_about_contents() && own()
    }

    fn is_about_a_part(&self) -> bool {
        let path = self.body.param.as_deref();
        path.is_some_and(|path| path.contains(['.', '[', '/'])) && self.is_about_contents()
    }

    pub(crate) fn is_about_contents(&self) -> bool {
        let name = self.body.param.as_deref().and_then(|param| param.split(['.', '[', '/']).next());
        name.is_some_and(|name| CONTENTS.contains(&name))
    }

    pub(crate) fn spent(&self) -> impl Iterator<Item = &Budget> {
        self.budgets.iter().filter(|budget| budget.remaining == Some(0))
    }

    /// The scope of a rate limit: as the text says, else as the provider counts.
    pub(crate) fn bucket(&self) -> Scope {
        let named = ACCOUNT.iter().any(|phrase| self.holds(self.claim(), phrase));
        let account = named || self.profile.bucket == Bucket::Key;
        if account && !self.says(MODEL) { Scope::Key } else { Scope::Deployment }
    }

    /// The scope of an outage: the model if one is named or others serve behind this provider.
    pub(crate) fn outage(&self) -> Scope {
        if self.profile.passes_on || self.text().contains("model") {
            Scope::Model
        } else {
            Scope::Provider
        }
    }

    pub(crate) fn names_tokens(&self) -> bool {
        words::dimension(self.claim()) == Dimension::Tokens || self.body.is_labelled(&["tokens"])
    }

    pub(crate) fn names_requests(&self) -> bool {
        words::names_requests(self.claim()) || self.body.is_labelled(&["requests"])
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
