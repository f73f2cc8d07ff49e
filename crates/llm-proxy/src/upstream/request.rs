//! One deployment's own copy of the request: its URL, its key, its model, and the parameters that
//! it takes. Everything else of the client's bytes goes on as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Uri};
use settings::StreamUsage;
use wire::Endpoint;
use wire::history::Repair;
use wire::json::{Kind, View, quote};
use wire::splice::{Edit, splice};

use super::body::Segments;
use super::headers::headers;
use crate::refused::{Mend, Mends};
use crate::repairs::{self, repair_for};
use crate::server::Intake;
use crate::world::Route;

/// A request that is ready for one deployment.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) request: Request<Segments>,
    /// Parameters that were left out, renamed or given other values, by the client's names, and
    /// what was changed in messages.
    pub(crate) adapted: Vec<String>,
    /// Whether usage was asked for on our own account, so that the client must not see it.
    pub(crate) hide_usage: bool,
    /// How many choices are asked for.
    pub(crate) choices: u32,
}

/// Makes the request for one deployment. `mends` are for parameters that it was seen to refuse,
/// `repairs` for a history that it refused.
pub(crate) fn prepare(
    intake: &Intake,
    route: &Route,
    key: usize,
    model: &str,
    mends: &Mends,
    repairs: &[&Repair],
) -> Prepared {
    let mut edits = Vec::new();
    if intake.scan.model.as_deref() != Some(model) {
        edits.extend(Edit::set(&intake.scan.layout, "model", &quote(model)));
    }
    let mut adapted = adapt(intake, route, model, mends, &mut edits);
    mend_messages(intake, &lasting(route, model, mends), repairs, &mut adapted, &mut edits);
    let hide_usage = ask_for_usage(intake, route, &adapted, mends, &mut edits);
    let spliced = splice(&intake.body, &intake.scan.layout, &edits);
    let mut request = Request::new(Segments::from(spliced.segments));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = route.uri(intake.endpoint).clone();
    *request.headers_mut() = headers(&intake.headers, route, key);
    let is_left_out = adapted.iter().any(|name| name == "n");
    let choices = if is_left_out { 1 } else { intake.choices() };
    Prepared { request, adapted, hide_usage, choices }
}

/// The repairs for what the deployment refuses in any conversation.
fn lasting(route: &Route, model: &str, mends: &Mends) -> Vec<Repair> {
    let rules = route.provider.param_rules.iter().filter(|rule| rule.applies_to(model));
    let known = rules.flat_map(|rule| rule.messages.iter().copied());
    let seen = mends.values().filter_map(|mend| match mend {
        Mend::Messages(refusal) => Some(*refusal),
        Mend::Drop
        | Mend::DropIf(_)
        | Mend::DropBeside(_)
        | Mend::Rename(_)
        | Mend::AtMost(_)
        | Mend::First(_)
        | Mend::Off
        | Mend::Afresh => None,
    });
    known.chain(seen).map(repair_for).collect()
}

/// Makes each repair once that finds something to do.
fn mend_messages(
    intake: &Intake,
    lasting: &[Repair],
    repairs: &[&Repair],
    adapted: &mut Vec<String>,
    edits: &mut Vec<Edit>,
) {
    for repair in lasting.iter().chain(repairs.iter().copied()) {
        let names = repairs::names(repair);
        if names.iter().all(|name| adapted.contains(name)) {
            continue;
        }
        if let Some(mended) = wire::history::repair(&intake.body, &intake.scan.layout, repair) {
            edits.extend(mended);
            let new = names.into_iter().filter(|name| !adapted.contains(name));
            adapted.extend(new.collect::<Vec<_>>());
        }
    }
}

/// Leaves out, renames and lowers what the deployment does not take as the client sent it.
fn adapt(
    intake: &Intake,
    route: &Route,
    model: &str,
    mends: &Mends,
    edits: &mut Vec<Edit>,
) -> Vec<String> {
    let provider = &route.provider;
    let rules = || provider.param_rules.iter().filter(|rule| rule.applies_to(model));
    let mut adaptation = Adaptation { intake, edits, adapted: Vec::new() };
    for name in rules().flat_map(|rule| &rule.drop).chain(&provider.drop_params) {
        adaptation.mend(name, &Mend::Drop);
    }
    for (name, texts) in rules().flat_map(|rule| &rule.only) {
        adaptation.keep_only(name, texts);
    }
    for (name, most) in rules().flat_map(|rule| &rule.first) {
        adaptation.mend(name, &Mend::First(*most));
    }
    for (name, mend) in mends {
        adaptation.mend(name, mend);
    }
    for (name, values) in rules().flat_map(|rule| &rule.values) {
        adaptation.translate(name, values);
    }
    if let Some(most) = provider.limits.max_output {
        for name in ["max_tokens", "max_completion_tokens"] {
            adaptation.mend(name, &Mend::AtMost(most));
        }
    }
    for (old, new) in rules().flat_map(|rule| &rule.rename) {
        adaptation.mend(old, &Mend::Rename(new.clone()));
    }
    adaptation.adapted
}

/// Parameters, each with one that is refused where the first is not there.
const DEPENDANTS: &[(&str, &str)] = &[
    ("logprobs", "top_logprobs"),
    ("tools", "tool_choice"),
    ("tools", "parallel_tool_calls"),
    ("functions", "function_call"),
];

/// The changes to one request's parameters, each at most once.
struct Adaptation<'a> {
    intake: &'a Intake,
    edits: &'a mut Vec<Edit>,
    adapted: Vec<String>,
}

impl Adaptation<'_> {
    fn mend(&mut self, name: &str, mend: &Mend) {
        let layout = &self.intake.scan.layout;
        if *mend == Mend::Off {
            return self.switch_off(name);
        }
        if layout.named(name).next().is_none() {
            return;
        }
        match mend {
            Mend::Drop => self.leave_out(name),
            Mend::DropIf(values) => {
                if self.intake.parameter(name).is_some_and(|given| values.hold(given.raw())) {
                    self.leave_out(name);
                }
            }
            Mend::DropBeside(other) => {
                if layout.named(other).next().is_some() && !self.adapted.contains(other) {
                    self.leave_out(name);
                }
            }
            // What is there under the new name already is not overridden.
            Mend::Rename(new) if layout.named(new).next().is_some() => {
                self.change(name, Edit::unset(layout, name));
            }
            Mend::Rename(new) => {
                let places = layout.named(name);
                let renamed = places.map(|(index, _)| Edit::Rename { index, to: new.clone() });
                // Another value may go under another name.
                self.edits.extend(renamed);
                self.tell(name);
            }
            Mend::AtMost(most) => self.change(name, self.lowered(name, *most)),
            Mend::First(most) => self.change(name, self.shortened(name, *most)),
            Mend::Off | Mend::Messages(_) | Mend::Afresh => {}
        }
    }

    /// Sends `false` with a request that has tools, unless it does so itself.
    fn switch_off(&mut self, name: &str) {
        let is_off = self.intake.parameter(name).is_some_and(|given| given.raw() == b"false");
        if self.intake.parameter("tools").is_some() && !is_off {
            let off = Bytes::from_static(b"false");
            self.change(name, Edit::set(&self.intake.scan.layout, name, &off));
        }
    }

    /// Leaves a parameter out unless it is one of these texts.
    fn keep_only(&mut self, name: &str, texts: &[String]) {
        let is_one = |given: View<'_>| {
            given.as_str().is_some_and(|text| texts.iter().any(|one| *one == text))
        };
        if self.intake.parameter(name).is_some_and(|given| !is_one(given)) {
            self.leave_out(name);
        }
    }

    /// Puts another value in the place of one that is taken otherwise.
    fn translate(&mut self, name: &str, values: &BTreeMap<String, serde_json::Value>) {
        let given = self.intake.parameter(name).and_then(|given| str::from_utf8(given.raw()).ok());
        if let Some(value) = given.and_then(|given| values.get(given.trim())) {
            let value = Bytes::from(value.to_string());
            self.change(name, Edit::set(&self.intake.scan.layout, name, &value));
        }
    }

    /// Leaves a parameter out, and those that mean nothing without it.
    fn leave_out(&mut self, name: &str) {
        let layout = &self.intake.scan.layout;
        self.change(name, Edit::unset(layout, name));
        for (_, dependant) in DEPENDANTS.iter().filter(|(on, _)| *on == name) {
            self.change(dependant, Edit::unset(layout, dependant));
        }
    }

    /// Makes a change, unless the parameter was changed already.
    fn change(&mut self, name: &str, edits: Vec<Edit>) {
        if !edits.is_empty() && !self.adapted.iter().any(|one| one == name) {
            self.edits.extend(edits);
            self.tell(name);
        }
    }

    fn tell(&mut self, name: &str) {
        if !self.adapted.iter().any(|one| one == name) {
            self.adapted.push(name.to_owned());
        }
    }

    fn lowered(&self, name: &str, most: u64) -> Vec<Edit> {
        if self.intake.parameter(name).is_some_and(|given| is_at_most(given, most)) {
            return Vec::new();
        }
        Edit::set(&self.intake.scan.layout, name, &Bytes::from(most.to_string()))
    }

    fn shortened(&self, name: &str, most: usize) -> Vec<Edit> {
        let Some(given) = self.intake.parameter(name).filter(|given| is_longer(*given, most))
        else {
            return Vec::new();
        };
        let first: Vec<&[u8]> = given.elements().take(most).map(View::raw).collect();
        let list = [b"[", first.join(&b","[..]).as_slice(), b"]"].concat();
        Edit::set(&self.intake.scan.layout, name, &Bytes::from(list))
    }
}

/// Whether a value is a list of more entries than that.
pub(crate) fn is_longer(given: View<'_>, most: usize) -> bool {
    given.kind() == Kind::Array && given.elements().nth(most).is_some()
}

/// Whether a value is a number that a provider who takes at most this one takes too.
#[expect(clippy::cast_precision_loss, reason = "no provider's bound has 16 digits")]
pub(crate) fn is_at_most(given: View<'_>, most: u64) -> bool {
    let number =
        std::str::from_utf8(given.raw()).ok().and_then(|raw| raw.trim().parse::<f64>().ok());
    number.is_some_and(|number| number <= most as f64)
}

/// Asks for the token counts of a stream where the client did not. Returns whether it did.
fn ask_for_usage(
    intake: &Intake,
    route: &Route,
    adapted: &[String],
    mends: &Mends,
    edits: &mut Vec<Edit>,
) -> bool {
    const NAME: &str = "stream_options";
    let is_refused = matches!(mends.get(NAME), Some(Mend::Drop));
    let is_left_out = is_refused || adapted.iter().any(|name| name == NAME);
    let asks = intake.scan.stream
        && !intake.scan.client_wants_usage
        && route.provider.stream_usage == StreamUsage::Ask
        && !is_left_out;
    if asks {
        let given = intake.scan.value_spans(NAME).last().map(|span| &intake.body[span]);
        edits.extend(Edit::set(&intake.scan.layout, NAME, &with_usage(given)));
    }
    // A provider that tells usage unasked tells it to a client that may not want it.
    asks
}

fn with_usage(given: Option<&[u8]>) -> Bytes {
    let mut options = b"{\"include_usage\":true".to_vec();
    let given =
        given.and_then(|text| View::parse(text).ok()).filter(|view| view.kind() == Kind::Object);
    for (key, value) in given.iter().flat_map(|view| view.members()) {
        if key != "include_usage" {
            options.push(b',');
            options.extend_from_slice(&quote(&key));
            options.push(b':');
            options.extend_from_slice(value.raw());
        }
    }
    options.push(b'}');
    options.into()
}

/// A request for the list of models.
pub(crate) fn list_models(route: &Arc<Route>, key: usize) -> Request<Segments> {
    let mut request = Request::new(Segments::default());
    *request.uri_mut() = route.models.clone();
    *request.headers_mut() = headers(&HeaderMap::new(), route, key);
    request.headers_mut().remove(CONTENT_TYPE);
    request
}

impl Route {
    fn uri(&self, endpoint: Endpoint) -> &Uri {
        match endpoint {
            Endpoint::Chat => &self.chat,
            Endpoint::Completions => &self.completions,
        }
    }
}
