//! Conversations that move between providers: repaired once on exactly the refusal that wants it,
//! never touched otherwise.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{CHAT, Heard, Setup, always, good, post, script};
use crate::shared::last_body;

/// The recorded sentence and the status of a refusal.
struct Refusal {
    says: &'static str,
    status: u16,
}

const REFUSALS: [Refusal; 7] = [
    Refusal {
        says: "Tool call id was call_0fypS1hVX but must be a-z, A-Z, 0-9, with a length of 9.",
        status: 400,
    },
    Refusal {
        says: "'messages.1' : for 'role:assistant' the following must be \
               satisfied[('messages.1' : property 'reasoning_content' is unsupported)]",
        status: 400,
    },
    Refusal {
        says: "The `reasoning_content` in the thinking mode must be passed back to the API.",
        status: 400,
    },
    Refusal {
        says: "Function call is missing a thought_signature in functionCall parts. This is required \
               for tools to work correctly, and missing thought_signature may lead to degraded model \
               performance. Additional data, function call `default_api:Bash` , position 2.",
        status: 400,
    },
    Refusal {
        says: "Failed to deserialize the JSON body into the target type: messages[0].role: unknown \
               variant `developer`, expected one of `system`, `user`, `assistant`, `tool`, \
               `latest_reminder` at line 1 column 60",
        status: 422,
    },
    Refusal { says: "invalid message content type: <nil>", status: 400 },
    Refusal { says: "'messages.0' : discriminator property 'role' has invalid value", status: 400 },
];

/// What is named as changed by the repair of each.
const NAMED: [&str; 7] = [
    "messages.tool_call_id",
    "messages.reasoning_content",
    "messages.reasoning_content",
    "messages.thought_signature",
    "messages.role",
    "messages.content",
    "messages.role",
];

/// Whether a refusal is one of whatever conversation, so that it is remembered.
const fn lasts(refusal: usize) -> bool {
    refusal >= 4
}

fn reply(refusal: &Refusal) -> Reply {
    let body = json!({"error": {"message": refusal.says, "type": "invalid_request_error"}});
    Reply::json(refusal.status, &body)
}

/// A conversation in which everything stands that somebody refuses. Its spacing is its own.
fn conversation() -> String {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{ \"x\": 1.50 }"}});
    let messages = [
        json!({"role": "developer", "content": "be brief"}),
        json!({"role": "user", "content": "hi"}),
        json!({"role": "assistant", "content": null, "reasoning_content": "hm",
            "tool_calls": [call("call_0fypS1hVX"), call("call_second")]}),
        json!({"role": "tool", "tool_call_id": "call_0fypS1hVX", "content": "1"}),
        json!({"role": "tool", "tool_call_id": "call_second", "content": "2"}),
        json!({"role": "assistant", "content": "so"}),
        json!({"role": "user", "content": "and \u{1f600} now?"}),
    ];
    let messages: Vec<String> = messages.iter().map(Value::to_string).collect();
    format!(
        "{{ \"model\" : \"default\",\n  \"temperature\":1.0e0, \"messages\": [\n{}\n] }}",
        messages.join(",\n  ")
    )
}

fn message(body: &Value, index: usize) -> &Value {
    &body["messages"][index]
}

/// What the second attempt must have made of the conversation: the same but for the repair.
fn repaired(refusal: usize, sent: &Value) -> Value {
    let mut whole: Value = serde_json::from_str(&conversation()).unwrap();
    whole["model"] = "a-model".into();
    let messages = &mut whole["messages"];
    match refusal {
        0 => {
            let id = |call: usize| message(sent, 2)["tool_calls"][call]["id"].clone();
            for (call, answer) in [(0, 3), (1, 4)] {
                let new = id(call);
                let text = new.as_str().unwrap();
                assert!(
                    text.len() == 9 && text.chars().all(|c| c.is_ascii_alphanumeric()),
                    "{text}"
                );
                messages[2]["tool_calls"][call]["id"] = new.clone();
                messages[answer]["tool_call_id"] = new;
            }
            assert_ne!(id(0), id(1));
        }
        1 => {
            messages[2].as_object_mut().unwrap().remove("reasoning_content");
        }
        2 => messages[5]["reasoning_content"] = " ".into(),
        3 => {
            messages[2]["tool_calls"][0]["extra_content"] =
                json!({"google": {"thought_signature": "skip_thought_signature_validator"}});
        }
        4 | 6 => messages[0]["role"] = "system".into(),
        _ => messages[2]["content"] = "".into(),
    }
    whole
}

async fn ask(proxy: &crate::harness::Proxy, body: String) -> Heard {
    proxy.send(post(CHAT).raw(body)).await
}

/// The bytes of a request but for its model, which is each provider's own.
fn untouched(provider: &SimulatedProvider, number: usize, model: &str) {
    let request = &provider.requests()[number];
    let expected = conversation().replace("\"default\"", &format!("\"{model}\""));
    assert_eq!(String::from_utf8_lossy(&request.body), expected);
}

#[tokio::test]
async fn each_refusal_of_the_history_is_repaired_and_nothing_else_is_touched() {
    for (index, refusal) in REFUSALS.iter().enumerate() {
        let a = script([reply(refusal), Reply::answer(&["a"])]).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = ask(&proxy, conversation()).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-attempts"), Some("1"), "{}", refusal.says);
        assert_eq!(heard.header("x-dropped-params"), Some(NAMED[index]), "{}", refusal.says);
        assert_eq!((a.count(), b.count()), (2, 0), "{}", refusal.says);
        untouched(&a, 0, "a-model");
        let sent = last_body(&a);
        assert_eq!(sent, repaired(index, &sent), "{}", refusal.says);
        let text = String::from_utf8(a.requests()[1].body.to_vec()).unwrap();
        assert!(text.contains("\"temperature\":1.0e0, \"messages\": [\n"), "{text}");
        // The next request may be of another conversation.
        let heard = ask(&proxy, conversation()).await;
        heard.assert_says("a");
        assert_eq!(a.count(), 3, "{}", refusal.says);
        if lasts(index) {
            let sent = last_body(&a);
            assert_eq!(sent, repaired(index, &sent), "{}", refusal.says);
            assert_eq!(heard.header("x-dropped-params"), Some(NAMED[index]), "{}", refusal.says);
        } else {
            untouched(&a, 2, "a-model");
            assert_eq!(heard.header("x-dropped-params"), None, "{}", refusal.says);
        }
    }
}

#[tokio::test]
async fn what_is_remembered_of_one_model_holds_for_no_other_and_until_a_reset() {
    let refusal = reply(&REFUSALS[6]);
    let a = Behaviour::answer(move |request| {
        let is_refused = request.json()["messages"][0]["role"] == "developer";
        if is_refused { refusal.clone() } else { Reply::answer(&["a"]) }
    });
    let a = SimulatedProvider::start(a).await.unwrap();
    let lines = "api_key: sk-key-one-0123456\n    models: [x, y]";
    let proxy = Setup::new().provider_with("a", a.address(), lines).start().await;
    for (model, count) in [("a/x", 2), ("a/x", 3), ("a/y", 5), ("a/y", 6)] {
        let body = conversation().replace("\"default\"", &format!("\"{model}\""));
        ask(&proxy, body).await.assert_says("a");
        assert_eq!(a.count(), count, "{model}");
    }
    assert_eq!(proxy.send(post("/reset?provider=a")).await.status, 200);
    ask(&proxy, conversation()).await.assert_says("a");
    assert_eq!(a.count(), 8, "forgotten");
}

#[tokio::test]
async fn content_that_is_known_to_be_refused_is_never_sent() {
    let a = script([Reply::answer(&["a"]), Reply::rate_limited(Some("60"))]).await;
    let b = good("b").await;
    let lines = "api_key: sk-key-one-0123456\n    model: a-model";
    let setup = Setup::new().provider_with("cloudflare", a.address(), lines);
    let proxy = setup.provider("b", &b).start().await;
    let heard = ask(&proxy, conversation()).await;
    heard.assert_says("a");
    assert_eq!(heard.header("x-dropped-params"), Some("messages.content"));
    let sent = last_body(&a);
    assert_eq!(sent, repaired(5, &sent));
    let heard = ask(&proxy, conversation()).await;
    heard.assert_says("b");
    assert_eq!(heard.header("x-dropped-params"), None);
    untouched(&b, 0, "b-model");
}

#[tokio::test]
async fn refused_again_after_the_repair_the_next_provider_gets_the_original() {
    for refusal in &REFUSALS {
        let a = always(reply(refusal)).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = ask(&proxy, conversation()).await;
        heard.assert_says("b");
        assert_eq!((a.count(), b.count()), (2, 1), "{}", refusal.says);
        untouched(&b, 0, "b-model");
        assert_eq!(proxy.provider("a").await["available"], true, "nobody is benched for it");
    }
}

#[tokio::test]
async fn what_cannot_be_repaired_leads_to_the_next_provider_at_once() {
    // The last one does not say which role is meant: without the one it is the caller's mistake.
    for refusal in &REFUSALS[..6] {
        let a = always(reply(refusal)).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        // Nothing of what is refused stands in it.
        proxy.chat(true).await.assert_says("b");
        assert_eq!((a.count(), b.count()), (1, 1), "{}", refusal.says);
    }
}

#[tokio::test]
async fn two_different_refusals_are_both_repaired() {
    let a = script([reply(&REFUSALS[0]), reply(&REFUSALS[4]), Reply::answer(&["a"])]).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    ask(&proxy, conversation()).await.assert_says("a");
    assert_eq!((a.count(), b.count()), (3, 0));
    let sent = last_body(&a);
    let mut expected = repaired(0, &sent);
    expected["messages"][0]["role"] = "system".into();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn with_nobody_else_the_refusal_goes_back_as_it_is() {
    let a = always(reply(&REFUSALS[3])).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = ask(&proxy, conversation()).await;
    assert_eq!((heard.status, heard.by()), (400, "a"));
    assert_eq!(heard.json()["error"]["message"], REFUSALS[3].says);
    assert_eq!(a.count(), 2);
}

#[tokio::test]
async fn each_provider_of_a_chain_gets_its_own_repair_alone() {
    let a = script([reply(&REFUSALS[0]), Reply::rate_limited(Some("60"))]).await;
    let b = script([reply(&REFUSALS[4]), Reply::answer(&["b"])]).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    ask(&proxy, conversation()).await.assert_says("b");
    untouched(&b, 0, "b-model");
    let sent = last_body(&b);
    let mut expected = repaired(4, &sent);
    expected["model"] = "b-model".into();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_foreign_signature_is_repaired_for_one_request() {
    let conversation = json!({"messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "so"}]},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "type": "function",
            "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "foreign"}}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}]});
    let mut expected = conversation.clone();
    expected["model"] = "a-model".into();
    expected["messages"][1]["content"].as_array_mut().unwrap().remove(0);
    expected["messages"][2]["tool_calls"][0]["extra_content"]["google"]["thought_signature"] =
        "skip_thought_signature_validator".into();
    for told in [
        json!([{"error": {"code": 400, "message": "Corrupted thought signature.", "status": "INVALID_ARGUMENT"}}]),
        json!({"error": {"message": "messages.1.content.0: Invalid `signature` in `thinking` block"}}),
    ] {
        let a = script([Reply::json(400, &told), Reply::answer(&["a"])]).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = ask(&proxy, conversation.to_string()).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("messages.signature"));
        assert_eq!(last_body(&a), expected);
    }
}

#[tokio::test]
async fn a_role_that_is_refused_without_a_name_is_mended_and_remembered() {
    let place = json!([{"type": "literal_error", "loc": ["body", "messages", 0, "role"],
        "msg": "Input should be 'system', 'user', 'assistant' or 'tool'", "input": "developer"}]);
    for (status, told) in [
        (
            400,
            json!({"error": {"code": "1214", "message": "messages parameter is illegal: Incorrect role information"}}),
        ),
        (
            422,
            json!({"error": {"message": "messages[0].role must be one of system, user, assistant, tool"}}),
        ),
        (422, json!({"object": "error", "message": {"detail": place}, "code": null})),
    ] {
        let behaviour = {
            let told = told.clone();
            Behaviour::answer(move |request| {
                let is_refused = request.json()["messages"][0]["role"] == "developer";
                if is_refused { Reply::json(status, &told) } else { Reply::answer(&["a"]) }
            })
        };
        let a = SimulatedProvider::start(behaviour).await.unwrap();
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        for count in [2, 3] {
            let heard = ask(&proxy, conversation()).await;
            heard.assert_says("a");
            assert_eq!(heard.header("x-dropped-params"), Some("messages.role"), "{told}");
            assert_eq!(a.count(), count, "{told}");
        }
    }
}

#[tokio::test]
async fn a_content_of_null_is_mended_where_a_validators_list_is_written_out() {
    let says = "[{'type': 'string_type', 'loc': ('body', 'messages', 2, 'typed-dict', 'content'), \
                'msg': 'Input should be a valid string', 'input': None}]";
    let a = script([reply(&Refusal { says, status: 400 }), Reply::answer(&["a"])]).await;
    let proxy = Setup::chain([&a]).start().await;
    for count in [2, 3] {
        let heard = ask(&proxy, conversation()).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("messages.content"));
        assert_eq!(a.count(), count, "remembered");
    }
}

#[tokio::test]
async fn thoughts_that_are_missing_lead_to_the_next_provider_and_bench_nobody() {
    let says = "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found \
                `tool_use`. When `thinking` is enabled, a final `assistant` message must start \
                with a thinking block";
    let refusal = || reply(&Refusal { says, status: 400 });
    let (a, b) = (always(refusal()).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    ask(&proxy, conversation()).await.assert_says("b");
    untouched(&b, 0, "b-model");
    assert_eq!(a.count(), 1);
    assert_eq!(proxy.provider("a").await["available"], true);
    let alone = Setup::chain([&a]).start().await;
    let heard = ask(&alone, conversation()).await;
    assert_eq!((heard.status, heard.by()), (400, "a"));
    assert_eq!(heard.json()["error"]["message"], says);
}
