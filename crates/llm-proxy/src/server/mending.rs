//! What a provider refuses of a request that others take: mended for it once, and from now on where
//! its words say so of any request.

use dialect::HistoryFault;
use engine::{FaultKind, Remedy};
use wire::Endpoint;
use wire::json::View;

use super::attempt::Failed;
use super::journey::Journey;
use crate::refused::{BEGINNING, Mend, Values};
use crate::repairs;
use crate::upstream::{is_at_most, is_longer};

/// Parameters without which a request is not the same request.
const ESSENTIAL: [&str; 4] = ["model", "messages", "prompt", "stream"];

impl Journey {
    /// Whether the request can be mended for this provider; if so, how is remembered.
    pub(super) fn remedy(&mut self, failed: &Failed) -> Remedy {
        let failure = &failed.failure;
        if failure.fault.kind != FaultKind::ParameterRefused {
            return failure.remedy;
        }
        let body = failure.body();
        let is_mended = match dialect::refused_history(body, &self.intake.body) {
            Some(fault) => self.repair_history(failed, fault),
            None => self.mend_parameter(failed, body),
        };
        if is_mended || self.start_afresh(failed, body) { Remedy::Repair } else { Remedy::None }
    }

    /// Leaves out the beginning of the answer that a provider was given and refuses: from now on for
    /// its model if that is what it says, else for this request.
    fn start_afresh(&mut self, failed: &Failed, body: &[u8]) -> bool {
        if !failed.had_beginning || self.intake.endpoint == Endpoint::Completions {
            return false;
        }
        let provider = &failed.route.provider.name;
        self.app.log.info(format_args!(
            "{provider}: does not go on with a text that it is given, asking it afresh"
        ));
        if dialect::refuses_beginning(body, &self.intake.body) {
            self.remember(failed, BEGINNING, Mend::Afresh);
        }
        self.mends.push((failed.held.deployment(), BEGINNING.to_owned(), Mend::Afresh));
        true
    }

    /// Lets a deployment be asked once more, without the beginning that it was given.
    pub(super) fn ask_afresh(&mut self, deployment: usize) {
        self.mends.push((deployment, BEGINNING.to_owned(), Mend::Afresh));
        self.rotation.give_again(deployment);
    }

    /// Whether a parameter, or a field of the messages, is refused though it was mended: who says so
    /// without looking may say it of any request, or the request is at fault.
    pub(super) fn is_refused_again(&self, failed: &Failed) -> bool {
        let failure = &failed.failure;
        if failure.fault.kind != FaultKind::ParameterRefused {
            return false;
        }
        let body = failure.body();
        let names = match dialect::refused_history(body, &self.intake.body) {
            Some(HistoryFault::ForeignFields(names)) => {
                names.into_iter().map(|name| format!("messages.{name}")).collect()
            }
            Some(_) => Vec::new(),
            None => Vec::from_iter(dialect::refused_parameter(body, &self.intake.body)),
        };
        !names.is_empty() && names.iter().all(|name| failed.adapted.contains(name))
    }

    /// Repairs what a provider refuses of a conversation that began elsewhere: for this request
    /// and this deployment only, and each kind once; from now on for this provider's model if it
    /// refuses that in any conversation.
    fn repair_history(&mut self, failed: &Failed, fault: HistoryFault) -> bool {
        let repair = repairs::repair_of(fault);
        let names = repairs::names(&repair);
        // What was repaired already and is refused again cannot be repaired.
        let is_new = names.iter().any(|name| !failed.adapted.contains(name));
        let helps = || {
            let scan = &self.intake.scan;
            wire::history::repair(&self.intake.body, &scan.layout, &repair).is_some()
        };
        if !is_new || !helps() {
            return false;
        }
        let provider = &failed.route.provider.name;
        self.app
            .log
            .info(format_args!("{provider}: refuses the history as it was sent, repairing it"));
        if let (Some(refusal), [name]) = (repairs::lasting(&repair), names.as_slice()) {
            self.remember(failed, name, Mend::Messages(refusal));
        }
        self.repairs.push((failed.held.deployment(), repair));
        true
    }

    /// Leaves out, renames or lowers a refused parameter, from now on for this provider's model;
    /// one whose value alone was refused, with that value only.
    fn mend_parameter(&mut self, failed: &Failed, body: &[u8]) -> bool {
        if dialect::wants_single_calls(body, &self.intake.body) {
            return self.allow_single_calls(failed);
        }
        let Some(name) = dialect::refused_parameter(body, &self.intake.body) else {
            return false;
        };
        let given = self.intake.parameter(&name);
        let ours = failed.asked_for_usage && name == "stream_options";
        let mend = match given {
            Some(given) if !ours => self.mend_of(&name, given, body),
            _ => Mend::Drop,
        };
        let provider = &failed.route.provider.name;
        let mendable = (given.is_some() || ours) && self.may_be_mended(failed, &name, &mend);
        if !mendable {
            return false;
        }
        self.app.log.info(format_args!(
            "{provider}: refuses {name} as it was sent, repeating with that mended"
        ));
        let is_of_a_pair = matches!(mend, Mend::DropBeside(_));
        if !is_of_a_pair && dialect::depends_on_others(body, &self.intake.body) {
            self.mends.push((failed.held.deployment(), name, mend));
            return true;
        }
        let other = dialect::refused_too(&name, body, &self.intake.body);
        if let Some((other, given)) =
            other.zip(other.and_then(|other| self.intake.parameter(other)))
        {
            let mend = self.mend_of(other, given, body);
            self.remember(failed, other, mend);
        }
        self.remember(failed, &name, mend);
        true
    }

    /// Whether a mend is one that was not tried yet. What was mended already and is refused again
    /// cannot be mended, but what was only renamed may still be lowered.
    fn may_be_mended(&self, failed: &Failed, name: &str, mend: &Mend) -> bool {
        let is_lowered = || {
            let known = self.app.refused.of(&failed.route.provider.name, &failed.model);
            matches!(known.get(name), Some(Mend::AtMost(_)))
        };
        let is_new = !failed.adapted.iter().any(|adapted| adapted == name)
            || matches!(mend, Mend::AtMost(_)) && !is_lowered();
        !ESSENTIAL.contains(&name) && is_new
    }

    /// Asks for one call of a tool at a time, from now on for this provider's model.
    fn allow_single_calls(&self, failed: &Failed) -> bool {
        const NAME: &str = "parallel_tool_calls";
        let is_off = self.intake.parameter(NAME).is_some_and(|given| given.raw() == b"false");
        let is_new = !is_off && !failed.adapted.iter().any(|name| name == NAME);
        if is_new {
            let provider = &failed.route.provider.name;
            self.app.log.info(format_args!("{provider}: takes one call of a tool at a time"));
            self.remember(failed, NAME, Mend::Off);
        }
        is_new
    }

    /// How a refused parameter of the client's is mended.
    fn mend_of(&self, name: &str, given: View<'_>, body: &[u8]) -> Mend {
        let request = &self.intake.body;
        if let Some(new) = dialect::replacement_for(name, body, request) {
            return Mend::Rename(new);
        }
        if let Some(other) = dialect::refused_beside(name, body, request) {
            return Mend::DropBeside(other.to_owned());
        }
        let most = dialect::stated_length(body, request).and_then(|most| most.try_into().ok());
        if let Some(most) = most.filter(|most| is_longer(given, *most)) {
            return Mend::First(most);
        }
        match dialect::stated_ceiling(name, body, request) {
            Some(most) if !is_at_most(given, most) => Mend::AtMost(most),
            _ if dialect::is_essential(name) || dialect::refuses_value_only(body) => {
                Mend::DropIf(Values::of(given.raw()))
            }
            _ => Mend::Drop,
        }
    }

    /// From now on this is mended so for this provider's model.
    fn remember(&self, failed: &Failed, name: &str, mend: Mend) {
        self.app.refused.remember(&failed.route.provider.name, &failed.model, name, mend);
        self.app.memory.touch();
    }
}
