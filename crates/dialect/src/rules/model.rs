//! A model that is unknown or retired. A client's own mistake must not park a model, so a 400
//! counts only in words that cannot mean anything else, or if it names the model. Before it stands
//! what a model lacks, which is told in the same words.

use engine::FaultKind::{CapabilityMissing, ModelMissing, ParameterRefused, ServerError};

use super::{ANY, Rule, Statuses, Whom};
use crate::evidence::Sign;

const GONE: Statuses = Statuses::Of(&[0, 400, 404, 410, 422]);

/// What is said of a model that is not there.
const ABSENT: &[&str] = &[
    "does not exist",
    "not exist",
    "not found",
    "no longer supported",
    "no longer available",
    "been deprecated",
    "been removed",
    "been retired",
    "is not available",
    "is deprecated",
    "was removed",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "choice among no tools",
        statuses: Statuses::Of(&[0, 400, 422]),
        signs: &[Sign::ChoiceAmongNothing],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "capability that the request asks for",
        statuses: Statuses::Of(&[0, 400, 404, 422]),
        signs: &[Sign::AbilityMissing],
        kind: CapabilityMissing,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "page in the place of a path",
        statuses: Statuses::Of(&[404]),
        signs: &[Sign::Page],
        kind: ServerError,
        ..ANY
    },
    Rule {
        name: "provider that has closed",
        labels: &["github_models_retirement_brownout"],
        kind: ModelMissing,
        whom: Whom::Provider,
        ..ANY
    },
    Rule {
        name: "model, by code",
        statuses: GONE,
        labels: &[
            "model_not_found",
            "model_decommissioned",
            "deploymentnotfound",
            "invalid_model",
            "model_not_available",
            "model_not_supported",
        ],
        kind: ModelMissing,
        ..ANY
    },
    Rule {
        name: "model, by sentence",
        statuses: GONE,
        any: &[
            "model not found",
            "missing model",
            "model not exist",
            "model does not exist",
            "no such model",
            "unknown model",
            "not a valid model",
            "invalid model:",
            "invalid model name",
            "unable to access model",
            "unable to access non-serverless model",
            "has been decommissioned",
            "reached its end of life",
            "end of life",
        ],
        kind: ModelMissing,
        ..ANY
    },
    Rule {
        name: "model, by its name",
        statuses: GONE,
        any: ABSENT,
        all: &["model"],
        signs: &[Sign::ModelNamed],
        kind: ModelMissing,
        ..ANY
    },
];
