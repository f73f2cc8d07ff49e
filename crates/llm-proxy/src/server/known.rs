//! What a deployment was seen not to take, for programs and in one line: abilities that its model
//! lacks, and parameters that are mended for it.

use engine::Abilities;
use serde_json::{Map, Value, json};
use settings::MessageRefusal;

use super::report::words;
use crate::app::App;
use crate::lock::lock;
use crate::refused::{Mend, Mends};
use crate::world::AUTO_MODEL;

/// What is known of one deployment.
#[derive(Debug)]
pub(super) struct Known {
    lacks: Abilities,
    mends: Mends,
}

impl Known {
    /// Of a provider's model that was seen to lack `lacks`.
    pub(super) fn of(app: &App, provider: &str, model: &str, lacks: Abilities) -> Self {
        let found = lock(&app.discovered).get(provider).cloned().filter(|_| model == AUTO_MODEL);
        Self { lacks, mends: app.refused.of(provider, found.as_deref().unwrap_or(model)) }
    }

    /// The fields of a deployment that tell it.
    pub(super) fn json(&self) -> Value {
        let refuses = self.mends.iter().map(|(name, mend)| (name.clone(), done(mend).into()));
        json!({
            "lacks": self.lacks.words().collect::<Vec<_>>(),
            "refuses": refuses.collect::<Map<_, _>>(),
            "known": self.line(),
        })
    }

    /// `takes no images (learned); seed is left out (learned)`
    fn line(&self) -> Option<String> {
        let lacks = (!self.lacks.is_empty()).then(|| format!("takes no {}", words(self.lacks)));
        let mends = self.mends.iter().map(|(name, mend)| format!("{name} is {}", done(mend)));
        let told: Vec<String> =
            lacks.into_iter().chain(mends).map(|one| format!("{one} (learned)")).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// What is done about something that is refused.
fn done(mend: &Mend) -> String {
    match mend {
        Mend::Drop => "left out".to_owned(),
        Mend::DropIf(_) => "left out with a value that was refused".to_owned(),
        Mend::DropBeside(other) => format!("left out beside {other}"),
        Mend::Rename(new) => format!("sent as {new}"),
        Mend::AtMost(most) => format!("at most {most}"),
        Mend::First(most) => format!("cut to {most} entries"),
        Mend::Off => "false".to_owned(),
        Mend::Messages(MessageRefusal::DeveloperRole) => "system instead of developer".to_owned(),
        Mend::Messages(MessageRefusal::NullContent) => "empty instead of null".to_owned(),
        Mend::Messages(MessageRefusal::ContentParts) => "one text instead of parts".to_owned(),
        Mend::Messages(MessageRefusal::StrictTools) => "left out of tools".to_owned(),
        Mend::Afresh => "not used".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_one_line() {
        let mends = [("seed", Mend::Drop), ("max_tokens", Mend::AtMost(8192))];
        let mends = mends.map(|(name, mend)| (name.to_owned(), mend)).into();
        let known = Known { lacks: Abilities::IMAGES | Abilities::TOOLS, mends };
        assert_eq!(
            known.json(),
            json!({
                "lacks": ["images", "tools"],
                "refuses": {"max_tokens": "at most 8192", "seed": "left out"},
                "known": "takes no images and tools (learned); max_tokens is at most 8192 \
                    (learned); seed is left out (learned)",
            })
        );
    }

    #[test]
    fn of_whom_nothing_was_learned_nothing_is_told() {
        let known = Known { lacks: Abilities::default(), mends: Mends::new() };
        assert_eq!(known.json(), json!({"lacks": [], "refuses": {}, "known": null}));
    }
}
