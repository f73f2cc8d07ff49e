//! `check`: is the configuration right, are the keys there, and, with `--live`, do the providers
//! take them.

use std::fmt::Write as _;
use std::sync::Arc;

use settings::{Provider, Settings};

use super::table::{Cell, Table, Tone};
use super::{Failed, Outcome, print};
use crate::probe::{Finding, probe, ready};
use crate::source::{Source, check_exposure, lines};

pub(super) async fn check(source: Source, live: bool, send: bool) -> Outcome {
    let loaded = source.load().map_err(|error| Failed::configuration(&lines(&error)))?;
    check_exposure(&loaded.settings).map_err(|problem| Failed::configuration(&[problem]))?;
    let settings = Arc::new(loaded.settings);
    let place = loaded.source.map_or_else(
        || "no file: the providers whose keys are in the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let world = ready(&settings).map_err(|problem| Failed::configuration(&[problem]))?;
    let findings = if live { Some(probe(&world, send).await) } else { None };
    let mut told = format!("configuration: {place}\n");
    told.push_str(&table(&settings, findings.as_deref()));
    for warning in &settings.warnings {
        let _ = writeln!(told, "warning: {warning}");
    }
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
        let mark =
            if good { Cell::toned("✓", Tone::Good) } else { Cell::toned("✗", Tone::Bad) };
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
        let mark = Cell::toned("-", Tone::Faint);
        let cells = [mark, skipped.name.as_str().into(), "".into(), "".into(), "".into()];
        table.row(
            cells
                .into_iter()
                .chain([Cell::toned(format!("skipped: {}", skipped.reason), Tone::Faint)]),
        );
    }
    table.render()
}

fn keys(provider: &Provider) -> String {
    let prints: Vec<&str> = provider.keys.iter().map(|key| key.fingerprint.as_str()).collect();
    if prints.is_empty() { "none".to_owned() } else { prints.join(" ") }
}

fn models(provider: &Provider) -> String {
    let names: Vec<String> = provider.models.iter().map(crate::world::model_name).collect();
    names.join(" ")
}
