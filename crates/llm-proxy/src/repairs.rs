//! Which repairs of a conversation are for good and which for one request. What a provider refuses
//! whoever has written it, such as a role, is a fact about the provider's model: it is known from
//! the catalogue or remembered, and mended from then on. Ids, reasoning and signatures belong to
//! one conversation and are touched only when exactly that was refused.

use dialect::HistoryFault;
use settings::MessageRefusal;
use wire::history::Repair;

/// What to do about a part of the conversation that is refused.
pub(crate) fn repair_of(fault: HistoryFault) -> Repair {
    match fault {
        HistoryFault::ToolCallIds => Repair::ToolCallIds,
        HistoryFault::ForeignFields(names) => Repair::ForeignFields(names),
        HistoryFault::MissingReasoning => Repair::MissingReasoning,
        HistoryFault::MissingThoughtSignature => Repair::MissingThoughtSignature,
        HistoryFault::ForeignSignatures => Repair::ForeignSignatures,
        HistoryFault::DeveloperRole => Repair::DeveloperRole,
        HistoryFault::NullContent => Repair::NullContent,
        HistoryFault::ContentParts => Repair::ContentParts,
        HistoryFault::StrictTools => Repair::StrictTools,
    }
}

/// The fact about the provider's model that a refusal shows; `None` if it concerns nothing but
/// this conversation.
pub(crate) const fn lasting(repair: &Repair) -> Option<MessageRefusal> {
    match repair {
        Repair::DeveloperRole => Some(MessageRefusal::DeveloperRole),
        Repair::NullContent => Some(MessageRefusal::NullContent),
        Repair::ContentParts => Some(MessageRefusal::ContentParts),
        Repair::StrictTools => Some(MessageRefusal::StrictTools),
        Repair::ToolCallIds
        | Repair::ForeignFields(_)
        | Repair::MissingReasoning
        | Repair::MissingThoughtSignature
        | Repair::ForeignSignatures => None,
    }
}

/// What is done about messages that are refused in any conversation.
pub(crate) const fn repair_for(refusal: MessageRefusal) -> Repair {
    match refusal {
        MessageRefusal::DeveloperRole => Repair::DeveloperRole,
        MessageRefusal::NullContent => Repair::NullContent,
        MessageRefusal::ContentParts => Repair::ContentParts,
        MessageRefusal::StrictTools => Repair::StrictTools,
    }
}

/// What a repair changes, as it is told in the response's header. No parameter is called so, since
/// none has a dot in its name.
pub(crate) fn names(repair: &Repair) -> Vec<String> {
    let name = match repair {
        Repair::ToolCallIds => "tool_call_id",
        Repair::ForeignFields(names) => {
            return names.iter().map(|name| format!("messages.{name}")).collect();
        }
        Repair::MissingReasoning => "reasoning_content",
        Repair::MissingThoughtSignature => "thought_signature",
        // One of its own, since what was replaced may be found missing after that.
        Repair::ForeignSignatures => "signature",
        Repair::DeveloperRole => "role",
        Repair::NullContent => "content",
        Repair::ContentParts => "content_parts",
        Repair::StrictTools => return vec!["tools.strict".to_owned()],
    };
    vec![format!("messages.{name}")]
}
