//! Models that are not there, in the words of many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, failure};
use engine::{Fault, FaultKind, Scope, Timestamp};
use http::HeaderMap;
use serde_json::json;

fn fault(status: u16, said: &str, request: &str) -> Fault {
    fault_of("acme-1", status, said, request)
}

fn fault_of(model: &str, status: u16, said: &str, request: &str) -> Fault {
    let body = json!({"error": {"message": said, "type": "invalid_request_error"}});
    let headers = HeaderMap::new();
    let now = Timestamp::from_secs(1_795_000_000);
    let request = request.as_bytes();
    let reply = Reply { provider: "", model, status, headers: &headers, request, now };
    failure(&reply, &serde_json::to_vec(&body).unwrap()).fault
}

const REQUEST: &str = r#"{"model":"acme-1","messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn a_model_that_is_not_there_is_missing_under_a_400_too() {
    let said = [
        "The model `acme-1` does not exist or you do not have access to it.",
        "invalid model ID",
        "Invalid model: acme-1",
        "Unsupported model: acme-1",
        "Unsupported model 'acme-1'",
        "Model acme-1 is not supported",
        "model acme-1 not supported",
        "model not supported: acme-1",
        "The model acme-1 has been discontinued.",
        "Model acme-1 is no longer supported",
        "acme-1 is not a valid model",
        "Unknown model acme-1",
        "model 'acme-1' not found",
        "Model is not available",
        "The requested model is not available",
        "The model acme-1 is deprecated. Use acme-2.",
        "acme-1 was retired on 2026-01-01",
        "acme-1 has been shut down",
        "Model acme-1 does not exist!",
        "could not find model acme-1",
        "unable to find model acme-1",
        "acme-1 is not available for inference",
        "This model has been removed",
        "Specified model is not found",
        "The specified model does not exist",
        "model acme-1 is not deployed",
        "Cannot find model acme-1",
        "model is invalid",
        "Model acme-1 is disabled",
        "Requested model acme-1 is not in the list of available models",
        "Bad request: the model other/name-2 is not available.",
    ];
    for said in said {
        for status in [400, 404] {
            let fault = fault(status, said, REQUEST);
            let seen = (fault.kind, fault.scope);
            assert_eq!(seen, (FaultKind::ModelMissing, Scope::Model), "{status} {said}");
        }
    }
}

#[test]
fn a_model_whose_name_is_a_plain_word_is_missing_too() {
    let request = REQUEST.replace("acme-1", "Sonar");
    for said in ["Unsupported model: sonar", "The model Sonar has been discontinued."] {
        let fault = fault_of("Sonar", 400, said, &request);
        assert_eq!(fault.kind, FaultKind::ModelMissing, "{said}");
    }
    let other = "The model input has been removed";
    assert_ne!(fault_of("Sonar", 400, other, &request).kind, FaultKind::ModelMissing);
}

#[test]
fn what_a_model_does_not_do_is_not_said_of_the_model_alone() {
    let said = [
        "The model is not supported with a grammar",
        "Model acme-1 is not supported when n is above 1",
        "The model input is invalid",
        "The model output is not available",
        "Invalid model parameter: temperature",
        "Unsupported model type for this image",
        "The file for the model is not available",
        "Model acme-1 is not available in streaming mode",
        "The model is invalidated by a bad schema",
        "Streaming with model acme-1 is not supported",
        "model not supported: the schema is too deep",
    ];
    for said in said {
        let fault = fault(400, said, REQUEST);
        assert_ne!(fault.kind, FaultKind::ModelMissing, "{said}");
    }
}

#[test]
fn a_model_of_which_the_client_speaks_is_not_missing() {
    let said = "the model acme-1 has been discontinued";
    let request = format!(r#"{{"model":"acme-1","messages":[{{"content":"{said}"}}]}}"#);
    for around in [format!("Invalid content: {said}"), format!("Bad request. {said}")] {
        let kind = fault(400, &around, &request).kind;
        assert_ne!(kind, FaultKind::ModelMissing, "{around}");
    }
    let quoted = "Invalid name: 'the model is not available'";
    assert_ne!(fault(400, quoted, REQUEST).kind, FaultKind::ModelMissing);
}

#[test]
fn a_model_that_is_refused_to_the_account_is_missing_for_it_alone() {
    for said in ["Model not available on your plan", "The model acme-1 is not available."] {
        let fault = fault(403, said, REQUEST);
        assert_eq!((fault.kind, fault.scope), (FaultKind::ModelMissing, Scope::Deployment));
    }
    let fault = fault(403, "Model not available: invalid API key", REQUEST);
    assert_eq!(fault.kind, FaultKind::KeyRejected);
}
