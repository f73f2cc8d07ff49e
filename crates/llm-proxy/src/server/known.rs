//! What a deployment was seen not to take, for programs and in one line: abilities that its model
//! lacks, sizes and counts of requests that are too much for it, and parameters that are mended.

use engine::{Ceiling, Findings, KnownSize, Origin};
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
    findings: Findings,
    mends: Mends,
}

impl Known {
    /// Of a provider's model that refusals have shown `findings` of.
    pub(super) fn of(app: &App, provider: &str, model: &str, findings: Findings) -> Self {
        let found = lock(&app.discovered).get(provider).cloned().filter(|_| model == AUTO_MODEL);
        Self { findings, mends: app.refused.of(provider, found.as_deref().unwrap_or(model)) }
    }

    /// The fields of a deployment that tell it.
    pub(super) fn json(&self) -> Value {
        let refuses = self.mends.iter().map(|(name, mend)| (name.clone(), done(mend).into()));
        json!({
            "lacks": self.findings.lacks.words().collect::<Vec<_>>(),
            "size": self.findings.size.map(size_json),
            "refuses": refuses.collect::<Map<_, _>>(),
            "known": self.line(),
        })
    }

    /// `takes no images (learned); seed is left out (learned)`
    fn line(&self) -> Option<String> {
        let Findings { lacks, size, ceilings } = &self.findings;
        let lacks = (!lacks.is_empty()).then(|| format!("takes no {}", words(*lacks)));
        let mends = self.mends.iter().map(|(name, mend)| format!("{name} is {}", done(mend)));
        let told: Vec<String> = lacks
            .into_iter()
            .chain(size.map(size_line))
            .chain(ceilings.iter().map(ceiling_line))
            .chain(mends)
            .map(|one| format!("{one} (learned)"))
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

fn size_json(size: KnownSize) -> Value {
    json!({
        "at_most": size.stated,
        "too_large_from": size.too_large_from,
        "origin": Origin::Learned.as_str(),
    })
}

fn size_line(size: KnownSize) -> String {
    size.stated.map_or_else(
        || format!("a request of about {} tokens is too large", size.too_large_from),
        |most| format!("at most {most} tokens in a request"),
    )
}

fn ceiling_line(ceiling: &Ceiling) -> String {
    format!("at most {} requests per {}", ceiling.most, ceiling.window.as_str())
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
    use engine::{Abilities, Window};

    use super::*;

    #[test]
    fn what_was_learned_is_one_line() {
        let mends = [("seed", Mend::Drop), ("max_tokens", Mend::AtMost(8192))];
        let mends = mends.map(|(name, mend)| (name.to_owned(), mend)).into();
        let ceilings = vec![Ceiling { window: Window::Minute, most: 5 }];
        let lacks = Abilities::IMAGES | Abilities::TOOLS;
        let known = Known { findings: Findings { lacks, size: None, ceilings }, mends };
        assert_eq!(
            known.json(),
            json!({
                "lacks": ["images", "tools"],
                "size": null,
                "refuses": {"max_tokens": "at most 8192", "seed": "left out"},
                "known": "takes no images and tools (learned); at most 5 requests per minute (learned); \
                    max_tokens is at most 8192 (learned); seed is left out (learned)",
            })
        );
    }

    #[test]
    fn of_whom_nothing_was_learned_nothing_is_told() {
        let known = Known { findings: Findings::default(), mends: Mends::new() };
        let nothing = json!({"lacks": [], "size": null, "refuses": {}, "known": null});
        assert_eq!(known.json(), nothing);
    }
}
