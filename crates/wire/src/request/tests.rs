use super::*;

fn scan(body: &str) -> RequestScan {
    RequestScan::parse(body.as_bytes(), Endpoint::Chat).unwrap()
}

fn problem(body: &str) -> JsonProblem {
    RequestScan::parse(body.as_bytes(), Endpoint::Chat).unwrap_err()
}

#[test]
fn the_plain_facts_are_read() {
    let body = r#"{"model":"gpt-\u0034o","stream":true,"max_tokens":5,"max_completion_tokens":7,
        "n":2,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#;
    let scan = scan(body);
    assert_eq!(scan.model.as_deref(), Some("gpt-4o"));
    assert!(scan.stream && scan.client_wants_usage && scan.has_messages);
    assert_eq!((scan.max_tokens, scan.max_completion_tokens, scan.n), (Some(5), Some(7), Some(2)));
    assert_eq!(scan.estimated_prompt_bytes, r#"[{"role":"user","content":"hi"}]"#.len());
    assert_eq!(&body[scan.value_spans("max_tokens").next().unwrap()], "5");
}

#[test]
fn absent_and_null_members_are_no_facts() {
    for body in ["{}", r#"{"model":null,"stream":null,"max_tokens":null,"n":"x"}"#] {
        let scan = scan(body);
        assert_eq!((scan.model, scan.stream, scan.max_tokens, scan.n), (None, false, None, None));
        assert!(!scan.has_messages && !scan.has_tools && !scan.client_wants_usage);
    }
}

#[test]
fn of_duplicates_the_last_counts_and_all_have_spans() {
    let body = r#"{"model":"a","stream_options":{"include_usage":true},"model":"b",
        "stream_options":{},"stream":true,"stream":false}"#;
    let scan = scan(body);
    assert_eq!(scan.model.as_deref(), Some("b"));
    assert!(!scan.stream && !scan.client_wants_usage);
    let spans: Vec<_> = scan.value_spans("model").map(|span| &body[span]).collect();
    assert_eq!(spans, ["\"a\"", "\"b\""]);
}

#[test]
fn a_wrong_type_names_its_parameter() {
    let found = problem("{\n\"model\": 5}");
    assert_eq!(found.param, Some("model"));
    assert_eq!(found.to_string(), "`model` must be a string at line 2 column 10");
    assert_eq!(problem(r#"{"stream":"yes"}"#).param, Some("stream"));
    assert_eq!(problem(r#"{"stream":{}}"#).param, Some("stream"));
    assert_eq!(problem(r#"{"model":["a"]}"#).param, Some("model"));
    assert_eq!(problem("[1]").reason, "must be a JSON object");
    assert_eq!(problem("").reason, "unexpected end, expected a JSON value");
}

#[test]
fn media_parts_are_seen_and_their_bytes_not_counted() {
    let body = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"see"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
        {"type":"input_image","image_url":"data:image/png;base64,BBBB"},
        {"type":"input_audio","input_audio":{"data":"CCCC","format":"wav"}}]}]}"#;
    let scan = scan(body);
    assert!(scan.has_images && scan.has_audio);
    let media = r#""data:image/png;base64,AAAA""data:image/png;base64,BBBB""CCCC""#.len();
    assert_eq!(scan.estimated_prompt_bytes + media, body.len() - r#"{"messages":}"#.len());
}

#[test]
fn a_look_alike_elsewhere_is_no_fact() {
    let body = r#"{"metadata":{"model":1,"stream":"x","tools":[1]},"tools":[],
        "messages":[{"content":"image_url","x":{"type":"image_url"}},[{"type":"image_url"}]],
        "response_format":{"json_schema":{"type":"json_object"}}}"#;
    let scan = scan(body);
    assert!(!scan.has_images && !scan.has_tools && !scan.stream);
    assert!(!scan.wants_json_schema && !scan.wants_json_object);
}

#[test]
fn tools_and_formats_are_seen() {
    assert!(scan(r#"{"tools":[{}]}"#).has_tools);
    assert!(scan(r#"{"functions":[{"name":"f"}]}"#).has_tools);
    assert!(scan(r#"{"response_format":{"type":"json_schema"}}"#).wants_json_schema);
    assert!(scan(r#"{"response_format":{"type":"json_object"}}"#).wants_json_object);
}

#[test]
fn a_completion_counts_its_prompt() {
    let body = br#"{"prompt":"12345","messages":[]}"#;
    let scan = RequestScan::parse(body, Endpoint::Completions).unwrap();
    assert_eq!(scan.estimated_prompt_bytes, 7);
}

#[test]
fn developer_roles_are_found() {
    let body = r#"{"messages":[{"role":"developer","content":"role"},{"role":"user"},
        {"content":[{"role":"developer"}],"role":"developer"}],"role":"developer"}"#;
    let spans = developer_role_spans(body.as_bytes());
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| &body[span.clone()] == "\"developer\""));
    assert!(developer_role_spans(b"{").is_empty());
}

#[test]
fn a_hundred_thousand_levels_get_an_answer() {
    let deep = "[".repeat(300_000);
    let body = format!(r#"{{"messages":{deep}{},"model":"m"}}"#, "]".repeat(300_000));
    assert_eq!(scan(&body).model.as_deref(), Some("m"));
    assert!(RequestScan::parse(deep.as_bytes(), Endpoint::Chat).is_err());
}
