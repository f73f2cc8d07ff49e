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
    "is deprecated",
    "was removed",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "parameter that means nothing here",
        statuses: Statuses::Of(&[0, 400, 422]),
        signs: &[Sign::MeansNothing],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "number that is not taken as it is",
        statuses: Statuses::Of(&[0, 400, 422]),
        signs: &[Sign::NumberRefused],
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
    // A server of one's own breaks down over what its model cannot see or hear.
    Rule {
        name: "capability under the status of a breakdown",
        statuses: Statuses::Of(&[500]),
        any: &["image input is not supported", "audio input is not supported"],
        signs: &[Sign::AbilityMissing],
        kind: CapabilityMissing,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "nobody behind an aggregator takes it so",
        statuses: Statuses::Of(&[0, 404]),
        any: &["no endpoints found that support", "no endpoints found that can handle"],
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
            "unavailable_model",
        ],
        kind: ModelMissing,
        ..ANY
    },
    // Z.ai: the model does not exist; its interface has been taken offline or does not exist.
    Rule {
        name: "model, by number",
        providers: &["zai"],
        labels: &["1211", "1221", "1222"],
        kind: ModelMissing,
        ..ANY
    },
    Rule {
        name: "model that another kind of request is for",
        statuses: Statuses::Of(&[0, 400, 404]),
        any: &["this is not a chat model", "operation does not work with the specified model"],
        kind: ModelMissing,
        ..ANY
    },
    // The same model may be asked in another way.
    Rule {
        name: "way of asking, by number",
        providers: &["zai"],
        labels: &["1212"],
        kind: CapabilityMissing,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "way of asking",
        statuses: GONE,
        any: &["only support stream", "only supports stream", "only support the stream"],
        kind: CapabilityMissing,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "model, by sentence",
        statuses: GONE,
        any: &[
            "model not found",
            "model_not_found",
            "missing model",
            "model not exist",
            "model does not exist",
            "no such model",
            "unknown model",
            "not a valid model",
            "invalid model:",
            "invalid model name",
            "unavailable model:",
            "model identifier is invalid",
            "with on-demand throughput",
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
    Rule {
        name: "model, by the build of the sentence",
        statuses: GONE,
        signs: &[Sign::ModelAbsent],
        kind: ModelMissing,
        ..ANY
    },
];
