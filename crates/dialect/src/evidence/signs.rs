//! Facts about a reply that no single phrase tells: each is a question of its own, so that the
//! tables of rules stay tables.

use std::ops::Range;

use engine::{Dimension, Window};

use super::{Evidence, LONG};
use crate::body::Form;
use crate::echo::{self, Whose};
use crate::profile::Refill;
use crate::tree::{scalar, walk};
use crate::{
    ability, absent, beside, clock, context, fetched, history, list, number, parameter, unknown,
    words,
};

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
    /// A sentence says that the model is not there.
    ModelAbsent,
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
    /// What is refused is a number that another provider may take.
    NumberRefused,
    /// What is refused is a parameter of the request that the provider does not know.
    ParameterUnknown,
    /// A list of the request has too many entries.
    ListTooLong,
    /// A parameter is refused that means nothing in this request.
    MeansNothing,
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
    /// Something of the client's could not be fetched.
    FetchFailed,
    /// Nothing is said in words.
    Wordless,
}

impl Evidence<'_> {
    pub(crate) fn shows(&self, sign: Sign) -> bool {
        match sign {
            Sign::MonthNamed => self.window() == Some(Window::Month),
            Sign::DayNamed => self.window() == Some(Window::Day),
            Sign::ShorterNamed => {
                matches!(self.window(), Some(Window::Second | Window::Minute | Window::Hour))
            }
            Sign::TokensNamed => self.names_tokens(),
            Sign::ModelNamed => self.body.text.contains("{model}"),
            Sign::ModelAbsent => self.says_model_is_absent(),
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
            Sign::NumberRefused => number::refused(&self.body, &self.sent).is_some(),
            Sign::ParameterUnknown => unknown::refused(&self.body, &self.sent).is_some(),
            Sign::ListTooLong => list::refused(&self.body, &self.sent).is_some(),
            Sign::MeansNothing => beside::meaningless(&self.body, &self.sent).is_some(),
            Sign::AbilityMissing => ability::missing(&self.body, &self.sent).0,
            Sign::ModelSpokenOf => self.speaks_of_a_model(),
            Sign::PathUnknown => self.knows_no_path(),
            Sign::Moderated => self.is_moderated(),
            Sign::AccountShut => self.is_shut_for_a_violation(),
            Sign::FetchFailed => fetched::failed(&self.body),
            Sign::Wordless => self.body.form == Form::Html || self.body.message.trim().is_empty(),
        }
    }

    /// The parameter that an answer can do without, that the request has, and that the error names.
    fn refused_option(&self) -> Option<String> {
        parameter::refused_option(&self.body, &self.sent).filter(|name| self.sent.holds(name))
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

    fn says_model_is_absent(&self) -> bool {
        let text = self.text();
        let own = |place: Range<usize>| self.is_own(&text[place]);
        absent::told(text, self.model).any(|place| own(place.said) && own(place.whole))
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
