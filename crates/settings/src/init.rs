//! The files that `init` writes: a commented configuration and an example of `.env`.

use std::fmt::Write;

use crate::catalogue::{Catalogue, CatalogueEntry};
use crate::env::Env;
use crate::keys::Section;
use crate::secret::is_placeholder;

/// How many providers stand in a configuration for which no key was found.
const WITHOUT_KEYS: usize = 6;

/// Returns a commented `config.yaml` in which the providers with a key in the environment are on.
///
/// Without any key the first ones of the catalogue are listed, which are skipped until they get one.
pub fn starter_config(env: &Env) -> String {
    let catalogue = Catalogue::builtin();
    let mut on: Vec<&CatalogueEntry> =
        catalogue.automatic().filter(|entry| key_variable(entry, env).is_some()).collect();
    let found = !on.is_empty();
    if !found {
        on = catalogue.automatic().take(WITHOUT_KEYS).collect();
    }
    let mut text = String::from(HEAD);
    if !found {
        text.push_str(
            "  # No key was found: each of these is skipped until its variable is set.\n",
        );
    }
    for (index, entry) in on.iter().enumerate() {
        push_provider(&mut text, entry, key_variable(entry, env), index + 1);
    }
    text.push_str("\n  # Other providers: remove the \"# \" and set the variable.\n");
    let listed = |entry: &CatalogueEntry| on.iter().any(|other| other.id == entry.id);
    for entry in catalogue.providers.iter().filter(|e| e.retired.is_none() && !listed(e)) {
        let needs = if entry.local { String::from("no key needed") } else { variables(entry) };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  # - {:<12} # {}: {needs}", entry.id, entry.name);
    }
    text.push_str(CHAINS);
    push_section(&mut text, Section::Server);
    push_section(&mut text, Section::Rotation);
    push_section(&mut text, Section::History);
    text
}

/// Returns an example of `.env` with the key variable of every provider.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Copy this file to .env beside config.yaml and fill in the keys you have.\n\
         # Variables of the real environment win over this file. Never commit .env.\n",
    );
    for entry in Catalogue::builtin().automatic() {
        let _ = writeln!(text, "\n# {}", entry.name);
        for name in entry.key_variables.first().into_iter().chain(entry.url_variables.values()) {
            let _ = writeln!(text, "#{name}=");
        }
    }
    text
}

const HEAD: &str = "\
# llm-proxy: requests go to the first provider that can serve them.
# ${VAR} and ${VAR:-default} stand for environment variables, also from .env beside this file.

providers:
";

const CHAINS: &str = "
# Named chains; a client asks for one as its model.
#models:
#  fast: [groq, cerebras]
";

/// The variable in which the environment has a provider's key.
fn key_variable<'e>(entry: &'e CatalogueEntry, env: &Env) -> Option<&'e str> {
    let is_set = |name: &String| env.filled(name).is_some_and(|value| !is_placeholder(value));
    let complete = entry.url_variables.values().all(is_set);
    let found = entry.key_variables.iter().find(|name| is_set(name)).filter(|_| complete);
    found.map(String::as_str)
}

fn variables(entry: &CatalogueEntry) -> String {
    let names = entry.key_variables.first().into_iter().chain(entry.url_variables.values());
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn push_provider(
    text: &mut String,
    entry: &CatalogueEntry,
    variable: Option<&str>,
    priority: usize,
) {
    let _ = writeln!(text, "  - name: {:<21} # {}", entry.id, entry.name);
    let _ = writeln!(text, "    priority: {priority}");
    let first = entry.key_variables.first().map(String::as_str);
    if let Some(name) = variable.or(first) {
        let _ = writeln!(text, "    api_key: ${{{name}}}");
    }
    let model = entry.default_model.as_deref().unwrap_or("auto");
    let _ = writeln!(text, "    model: \"{model}\"");
    if !entry.other_models.is_empty() {
        let _ = writeln!(text, "    # other models: {}", entry.other_models.join(", "));
    }
}

fn push_section(text: &mut String, section: Section) {
    let _ = writeln!(text, "\n#{}:", section.name());
    for row in section.rows() {
        let line = format!("#  {}: {}", row.key, row.default);
        let _ = writeln!(text, "{line:<34} # {}", row.doc);
    }
}
