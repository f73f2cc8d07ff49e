//! All that one reply tells, gathered once for the rules to look at.

use std::cell::OnceCell;
use std::time::Duration;

use engine::{Budget, Dimension, Scope, Timestamp, Window};

use crate::Reply;
use crate::body::{ErrorBody, Form};
use crate::echo::{self, Whose};
use crate::headers::Headers;
use crate::pairs::Pairs;
use crate::profile::{self, Bucket, Profile, Refill};
use crate::sent::Sent;
use crate::tree::{scalar, walk};
use crate::withheld::Shared;
use crate::{ability, beside, clock, context, detail, history, limits, list, parameter, words};

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

/// What is shut for a violation, and how that is called. A warning that it may be is another
/// sentence.
const OWNERS: &[&str] =
    &["account", "organization", "organisation", "workspace", "project", "api key", "access"];
const SHUT: &[&str] = &[
    "disabled",
    "deactivated",
    "suspended",
    "terminated",
    "banned",
    "blocked",
    "restricted",
    "revoked",
];

/// Statuses that tell of the account, not of the request: no words of the client are quoted. A
/// 403 may be a moderator's, who quotes them.
const OF_THE_ACCOUNT: &[u16] = &[401, 402, 429];

/// What `param` begins with if it leads to a part of the request that its author has written.
const CONTENTS: &[&str] =
    &["messages", "tools", "tool_choice", "functions", "function_call", "input", "prompt"];

/// Words with which a reply speaks of a model, whole.
const MODEL_WORDS: &[&str] = &["model", "models", "deployment", "{model}"];

/// So many of them are looked at.
const MOST_MODEL_WORDS: usize = 8;

/// What a server says of a path that it does not know, as a phrase or as all it says.
const NO_PATH: &[&str] = &[
    "invalid url (",
    "unknown request url",
    "unknown url",
    "page not found",
    "route not found",
    "path not found",
    "endpoint not found",
    "resource not found",
    "no route",
    "could not route",
    "cannot post",
];
const NOTHING_BUT: &[&str] = &["not found", "404", "404 not found", "404 page not found"];

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
    /// A sentence says that the prompt does not fit.
    PromptTooLong,
    /// A `retry-after` states a time.
    RetryAfter,
    /// The body states a wait of an hour or more.
    LongWait,
    /// Headers say that nothing is left for the month, for the day, or of tokens.
    MonthSpent,
    DaySpent,
    TokensSpent,
    /// Headers say that nothing is left for the day, which comes back all at once.
    DayOver,
    /// Headers say that there is something left of each budget.
    NothingSpent,
    /// The error came within a reply that had begun as a success.
    WithinSuccess,
    /// The body is an HTML page.
    Page,
    /// What is refused is in the messages, left there by another provider.
    HistoryRefused,
    /// What is refused is the value of a parameter that an answer can do without.
    OptionRefused,
    /// A list of the request has too many entries.
    ListTooLong,
    /// A choice among tools is refused, and there are none.
    ChoiceAmongNothing,
    /// What the request asks for is not taken at all.
    AbilityMissing,
    /// The text speaks of a model, or of what stands for one.
    ModelSpokenOf,
    /// The text tells of nothing but a path that is not there.
    PathUnknown,
    /// The metadata are those of a moderator's refusal.
    Moderated,
    /// The account, or a part of it, is shut for a violation.
    AccountShut,
    /// Nothing is said in words.
    Wordless,
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
    /// The parameter that an answer can do without, that the request has, and that the error names.
    fn refused_option(&self) -> Option<String> {
        parameter::refused_option(&self.body, &self.sent).filter(|name| self.sent.holds(name))
    }

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
    pub(crate) fn says_itself(&self, phrases: &[&str]) -> bool {
        let text = self.body.text.as_str();
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

    pub(crate) fn is_about_contents(&self) -> bool {
        let name = self.body.param.as_deref().and_then(|param| param.split(['.', '[', '/']).next());
        name.is_some_and(|name| CONTENTS.contains(&name))
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
            Sign::PromptTooLong => self.says_prompt_too_long(),
            Sign::TooLarge => self.is_too_large(),
            Sign::RetryAfter => self.headers.retry_after(self.now).is_some(),
            Sign::LongWait => clock::written(self).is_some_and(|at| self.now.until(at) >= LONG),
            Sign::MonthSpent => self.spent().any(|budget| budget.window == Window::Month),
            Sign::DaySpent => self.spent().any(|budget| budget.window == Window::Day),
            Sign::DayOver => {
                self.profile.refill != Refill::Continuous && self.shows(Sign::DaySpent)
            }
            Sign::TokensSpent => self.spent().any(|budget| budget.dimension == Dimension::Tokens),
            Sign::NothingSpent => !self.budgets.is_empty() && self.spent().next().is_none(),
            Sign::WithinSuccess => self.within_success,
            Sign::Page => self.body.form == Form::Html,
            Sign::HistoryRefused => history::refused(&self.body, &self.sent).is_some(),
            Sign::OptionRefused => self.refused_option().is_some(),
            Sign::ListTooLong => list::refused(&self.body, &self.sent).is_some(),
            Sign::ChoiceAmongNothing => beside::is_lonely_choice(&self.body, &self.sent),
            Sign::AbilityMissing => ability::missing(&self.body, &self.sent).0,
            Sign::ModelSpokenOf => self.speaks_of_a_model(),
            Sign::PathUnknown => self.knows_no_path(),
            Sign::Moderated => self.is_moderated(),
            Sign::AccountShut => self.is_shut_for_a_violation(),
            Sign::Wordless => self.body.form == Form::Html || self.body.message.trim().is_empty(),
        }
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

    fn speaks_of_a_model(&self) -> bool {
        self.names_a_model()
            || self.tells(&["no endpoints found"])
            || self.provider == "nvidia" && self.tells(&["function"])
    }

    /// Whether the word stands in a text of the provider's: every request has the word too, so
    /// what is looked for there is the word with what follows it, or else precedes it.
    fn names_a_model(&self) -> bool {
        let part = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '{' | '}'));
        let is_named = |word: &str| word.split(part).any(|word| MODEL_WORDS.contains(&word));
        let words: Vec<&str> = self.text().split_whitespace().collect();
        let named = (0..words.len()).filter(|&at| is_named(words[at])).take(MOST_MODEL_WORDS);
        named.map(|at| near(&words, at)).any(|phrase| self.is_own(&phrase))
    }

    fn is_moderated(&self) -> bool {
        let metadata = self.body.value.pointer("/error/metadata");
        let told = |key: &&str| metadata.is_some_and(|metadata| metadata.get(*key).is_some());
        ["flagged_input", "reasons"].iter().any(told)
    }

    fn is_shut_for_a_violation(&self) -> bool {
        let pairs = OWNERS.iter().flat_map(|owner| SHUT.iter().map(move |shut| (owner, shut)));
        self.text().contains("violat")
            && pairs.into_iter().any(|(owner, shut)| {
                let passive = ["has been", "was", "is"].map(|is| format!("{owner} {is} {shut}"));
                let active = format!("{shut} your {owner}");
                passive.iter().chain([&active]).any(|phrase| self.tells(&[phrase]))
            })
    }

    fn knows_no_path(&self) -> bool {
        let message = self.body.message.trim().trim_end_matches('.').to_ascii_lowercase();
        let blank = message.is_empty() || NOTHING_BUT.contains(&message.as_str());
        blank || self.body.form == Form::Html || self.tells(NO_PATH)
    }

    pub(crate) fn names_tokens(&self) -> bool {
        words::dimension(self.claim()) == Dimension::Tokens || self.body.is_labelled(&["tokens"])
    }

    pub(crate) fn names_requests(&self) -> bool {
        words::names_requests(self.claim()) || self.body.is_labelled(&["requests"])
    }

    fn has_no_limit_at_all(&self) -> bool {
        let zero = |value| scalar(value).is_some_and(|text| text == "0");
        words::no_limit_at_all(self.text())
            || walk(&self.body.value).any(|(key, value)| key == "quotaValue" && zero(value))
            || self.budgets.iter().any(|budget| budget.limit == Some(0))
    }

    fn says_prompt_too_long(&self) -> bool {
        let text = self.body.text.as_str();
        let place = context::too_long(text);
        place.is_some_and(|place| echo::of_run(&place, text, &self.sent) != Whose::Clients)
    }

    fn is_too_large(&self) -> bool {
        let figures = words::figures(&self.body.text);
        self.says_itself(&["request too large"])
            || figures.is_some_and(|figures| figures.requested > figures.limit)
    }
}

/// A word and the two that follow it; the two before it if none follows.
fn near(words: &[&str], at: usize) -> String {
    let last = at + 1 == words.len();
    let near = if last { at.saturating_sub(2)..=at } else { at..=words.len().min(at + 3) - 1 };
    words[near].join(" ")
}

/// Puts a mark in place of the model's name, which the client has chosen: no name may pass for
/// the provider's words. A name of letters only is left; it cannot make up a phrase.
fn mask(text: &mut String, model: &str) {
    let lower = model.to_ascii_lowercase();
    if lower.len() > 1 && !lower.chars().all(|letter| letter.is_ascii_lowercase()) {
        *text = text.replace(&lower, "{model}");
    }
}
