//! `check`: is the configuration right, are the keys there, and, with `--live`, do the providers
//! take them.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use settings::{Provider, Settings};

use super::files::config_option;
use super::table::{Cell, Look, Table, Tone};
use super::{Failed, Outcome, print};
use crate::probe::{Finding, probe, ready};
use crate::source::{Source, check_exposure, lines, unlisted_line};

pub(super) async fn check(source: Source, live: bool, send: bool) -> Outcome {
    let loaded = source.load().map_err(|error| Failed::configuration(&lines(&error)))?;
    check_exposure(&loaded.settings).map_err(|problem| Failed::configuration(&[problem]))?;
    let settings = Arc::new(loaded.settings);
    let source = loaded.source;
    let place = source.as_ref().map_or_else(
        || "no file: the providers whose keys are in the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let world = ready(&settings).map_err(|problem| Failed::configuration(&[problem]))?;
    let findings = if live { Some(probe(&world, send).await) } else { None };
    let mut told = format!("configuration: {place}\n");
    told.push_str(&table(&settings, findings.as_deref()));
    for warning in &settings.warnings {
        let warned = Cell::toned(format!("! warning: {warning}"), Tone::Warn);
        told.push_str(&Table::line(warned, Look { width: None, ..Look::here() }));
    }
    for unlisted in &settings.unlisted {
        let hint = Cell::toned(format!("! {}", unlisted_line(unlisted)), Tone::Warn);
        told.push_str(&Table::line(hint, Look { width: None, ..Look::here() }));
    }
    told.push_str(&next(&settings, source.as_deref(), findings.as_deref()));
    print(&told)?;
    if settings.providers.is_empty() {
        return Err(Failed::configuration(&["no provider is usable: give one a key".to_owned()]));
    }
    match findings {
        Some(findings) if findings.iter().all(|finding| !finding.good) => {
            Err(Failed::new("no provider answered as it should"))
        }
        _ => Ok(()),
    }
}

fn table(settings: &Settings, findings: Option<&[Finding]>) -> String {
    let mut table = Table::new(&["", "PROVIDER", "PRIORITY", "KEYS", "MODELS", "RESULT"]);
    for (index, provider) in settings.providers.iter().enumerate() {
        let finding = findings.and_then(|findings| findings.get(index));
        let good = finding.is_none_or(|finding| finding.good);
        let mark = match good {
            true if is_warned_of(settings, &provider.name) => Cell::toned("!", Tone::Warn),
            true => Cell::toned("✓", Tone::Good),
            false => Cell::toned("✗", Tone::Bad),
        };
        let told = finding.map_or(provider.endpoints.chat.as_str(), |finding| &finding.told);
        table.row([
            mark,
            provider.name.as_str().into(),
            provider.priority.to_string().into(),
            keys(provider).into(),
            models(provider).into(),
            told.into(),
        ]);
    }
    for skipped in &settings.skipped {
        // What is switched off on purpose needs nobody's attention.
        let mark = if skipped.reason.contains("switched off") {
            Cell::toned("-", Tone::Faint)
        } else {
            Cell::toned("!", Tone::Warn)
        };
        let cells = [mark, skipped.name.as_str().into(), "".into(), "".into(), "".into()];
        table.row(
            cells
                .into_iter()
                .chain([Cell::toned(format!("skipped: {}", skipped.reason), Tone::Faint)]),
        );
    }
    table.render()
}

fn is_warned_of(settings: &Settings, name: &str) -> bool {
    let whose = format!("provider \"{name}\"");
    settings.warnings.iter().any(|warning| warning.contains(&whose))
}

/// What there is to do next, with the commands as they are typed.
fn next(settings: &Settings, source: Option<&Path>, findings: Option<&[Finding]>) -> String {
    let config = source.map(config_option).unwrap_or_default();
    let mut told = String::new();
    let lacks_key = |reason: &str| reason.contains("is not set") || reason.contains("no key");
    if settings.skipped.iter().any(|skipped| lacks_key(&skipped.reason)) {
        let folder = source.map_or(Path::new("."), crate::source::folder);
        let file = folder.join(".env");
        let _ = writeln!(told, "to use what is skipped, put its key into {}", file.display());
    }
    match findings {
        _ if settings.providers.is_empty() => {
            told.push_str("to try it without a key: llm-proxy demo\n");
        }
        None => {
            let _ = writeln!(
                told,
                "next: llm-proxy check --live{config} asks whether the keys are taken, at no cost"
            );
            let _ = writeln!(told, "then: llm-proxy{config} starts the proxy");
        }
        Some(findings) if findings.iter().all(|finding| finding.good) => {
            let _ = writeln!(told, "next: llm-proxy{config} starts the proxy");
        }
        Some(_) => told.push_str(
            "what is marked ✗ needs a look: mend its key, model or address, and check again\n",
        ),
    }
    told
}

fn keys(provider: &Provider) -> String {
    let prints: Vec<&str> = provider.keys.iter().map(|key| key.fingerprint.as_str()).collect();
    if prints.is_empty() { "none".to_owned() } else { prints.join(" ") }
}

fn models(provider: &Provider) -> String {
    let names: Vec<String> = provider.models.iter().map(crate::world::model_name).collect();
    names.join(" ")
}
