//! `providers`: the built-in catalogue.

use serde_json::{Value, json};
use settings::{Catalogue, CatalogueEntry, Env};

use super::table::{Cell, Table, Tone};
use super::{Outcome, print};

pub(super) fn providers(as_json: bool) -> Outcome {
    let catalogue = Catalogue::builtin();
    let mut warnings = Vec::new();
    let env = Env::from_process(&mut warnings);
    if as_json {
        let list: Vec<Value> = catalogue.providers.iter().map(entry_json).collect();
        let told = json!({"as_of": catalogue.as_of, "providers": list});
        return print(&serde_json::to_string_pretty(&told).unwrap_or_default());
    }
    let mut table = Table::new(&["PROVIDER", "KEY", "SET", "DEFAULT MODEL", "URL"]);
    for entry in &catalogue.providers {
        let is_set = entry.key_variables.iter().any(|name| env.filled(name).is_some());
        let set = if is_set { Cell::toned("yes", Tone::Good) } else { "".into() };
        let model = match (&entry.retired, entry.default_model.as_deref()) {
            (Some(when), _) => Cell::toned(format!("retired {when}"), Tone::Bad),
            (None, Some(model)) => model.into(),
            (None, None) => Cell::toned("first of its list", Tone::Faint),
        };
        let key = entry.key_variables.first().map_or("none needed", String::as_str);
        table.row([
            entry.id.as_str().into(),
            key.into(),
            set,
            model,
            entry.base_url.as_str().into(),
        ]);
    }
    print(&format!("{}facts as of {}\n", table.render(), catalogue.as_of))
}

fn entry_json(entry: &CatalogueEntry) -> Value {
    json!({
        "id": entry.id,
        "name": entry.name,
        "base_url": entry.base_url,
        "chat_url": entry.chat_url,
        "key_variables": entry.key_variables,
        "default_model": entry.default_model,
        "other_models": entry.other_models,
        "retired": entry.retired,
    })
}
