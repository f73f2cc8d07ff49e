use super::Shared;

fn withheld(message: &str, request: &[u8]) -> String {
    Shared::of(message, "", request).withheld(message)
}

fn of(content: &str, message: &str) -> String {
    let request = serde_json::json!({"model": "the-model-of-the-client", "stream": true,
        "messages": [{"role": "user", "content": content}]});
    withheld(message, request.to_string().as_bytes())
}

#[test]
fn words_of_the_request_are_left_out_and_the_providers_stay() {
    let cases = [
        ("my pin is 4711", "no: 'My PIN is 4711' is bad", "no: '[...]' is bad"),
        ("so I said open sesame now", "flagged: open, sesame now!", "flagged: [...]!"),
        ("hunter2", "cannot read \"hunter2\" here", "cannot read \"[...]\" here"),
        ("a confidentialreportofmine b", "x confidentialrep", "x [...]"),
        ("one\n\"two\"\tthree \u{e9}", "got: one 'two' three", "got: [...]"),
        ("我的密码是秘密", "错误: 密码是秘密 (1)", "错误: [...] (1)"),
        ("мой секретный пароль", "bad: секретный пароль", "bad: [...]"),
        ("what is a limit?", "rate limit reached", "rate limit reached"),
        ("hi", "hi, rate limit", "hi, rate limit"),
        ("use a tool", "no the-model-of-the-client", "no the-model-of-the-client"),
        ("a b c x d e f", "a b c - d e f", "[...]"),
        ("anything", "", ""),
    ];
    for (content, message, shown) in cases {
        assert_eq!(of(content, message), shown, "{content}");
    }
}

#[test]
fn texts_are_found_wherever_they_stand_and_in_what_is_no_json() {
    let message = "bad: the quick brown fox";
    let deep = format!("{}\"the quick brown fox\"{}", "[".repeat(500), "]".repeat(500));
    let filler = "x ".repeat(1 << 20);
    for request in [
        r#"{"prompt":"the quick brown fox"}"#.to_owned(),
        r#"{"prompt":["\u0074he quick","the quick brown fox"]}"#.to_owned(),
        r#"{"tools":[{"function":{"description":"The quick\nbrown fox"}}]}"#.to_owned(),
        format!(r#"{{"prompt":"{filler}the quick brown fox {filler}"}}"#),
        r#"{"prompt":"the quick brown fox"#.to_owned(),
        deep,
    ] {
        assert_eq!(withheld(message, request.as_bytes()), "bad: [...]");
    }
    assert_eq!(withheld(message, b""), message);
    assert_eq!(withheld(message, br#"{"the quick brown fox":1}"#), message);
}

fn read(content: &str, text: &str) -> Option<String> {
    let request = serde_json::json!({"messages": [{"role": "user", "content": content}]});
    Shared::of("", text, request.to_string().as_bytes()).unrepeated(text)
}

#[test]
fn a_run_of_the_clients_words_is_not_read() {
    let hidden = [
        (
            "it is down, try again in 3 hours.",
            "no: it is down, try again in 3 hours.",
            "no: [...].",
        ),
        ("wait 3h", "no: 'wait 3h'!", "no: '[...]'!"),
        ("服务已停止，请3小时后重试一下", "失败: 服务已停止，请3小时后重试一下", "失败: [...]"),
    ];
    for (content, text, own) in hidden {
        assert_eq!(read(content, text).as_deref(), Some(own), "{content}");
    }
    for (content, text) in [
        ("please try again", "please try again in 20s"),
        ("why was my rate limit reached?", "rate limit reached, try again in 5s"),
        ("说: 请稍后重试吧", "请稍后重试"),
        ("", "try again in 3 hours"),
    ] {
        assert_eq!(read(content, text), None, "{content}");
    }
}
