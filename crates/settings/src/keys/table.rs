//! The rows: key, kind, default, meaning.

use super::{KeyRow, Kind, Section};

const fn row(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> KeyRow {
    KeyRow { key, kind, default, doc }
}

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// A wait or a timeout longer than a day is a slip of the pen.
const TIMEOUT: Kind = Kind::Duration { least: 1, most: DAY };
const WAIT: Kind = Kind::Duration { least: 0, most: HOUR };
/// Larger numbers cannot be told from one another in JSON.
const COUNT: Kind = Kind::Integer { least: 1, most: 1 << 53 };

pub(super) static TOP: &[KeyRow] = &[
    row("providers", Kind::Providers, "", "The providers: names of the catalogue, or mappings."),
    row(
        "models",
        Kind::Chains,
        "",
        "Named chains: a name and the `provider/model` or provider names it stands for, in order.",
    ),
    row("server", Kind::Section(Section::Server), "", "The proxy's own door."),
    row("rotation", Kind::Section(Section::Rotation), "", "How requests move between providers."),
    row(
        "state",
        Kind::Text,
        "",
        "The folder of the proxy's memory, or `memory` to keep nothing; the platform's folder if left out.",
    ),
    row("history", Kind::Section(Section::History), "", "How much is remembered of past requests."),
];

pub(super) static HISTORY: &[KeyRow] = &[
    row(
        "days",
        Kind::Integer { least: 1, most: 3650 },
        "30",
        "How long single requests are remembered.",
    ),
    row(
        "max_size",
        Kind::Size { least: 1 << 20, most: 1 << 36 },
        "64MiB",
        "The size beyond which the oldest requests are forgotten earlier.",
    ),
];

pub(super) static SERVER: &[KeyRow] = &[
    row(
        "host",
        Kind::Text,
        "127.0.0.1",
        "The address to listen on; anything but loopback needs `api_keys`.",
    ),
    row(
        "port",
        Kind::Integer { least: 0, most: 65535 },
        "8000",
        "The port to listen on; 0 picks a free one.",
    ),
    row(
        "api_keys",
        Kind::Texts,
        "",
        "Keys of which a client must send one as `Authorization: Bearer`.",
    ),
    row("allowed_hosts", Kind::Texts, "", "Further `Host` names that are answered."),
    row("allowed_origins", Kind::Texts, "", "Further browser `Origin`s that are answered."),
    row(
        "max_body",
        Kind::Size { least: 1024, most: 1 << 30 },
        "64MiB",
        "The largest request body.",
    ),
    row(
        "ca_file",
        Kind::Text,
        "",
        "A PEM file of further certificate authorities, for networks that inspect TLS.",
    ),
    row(
        "timezone",
        Kind::Text,
        "",
        "The zone of the daily counters (`Europe/Berlin`); the machine's own if left out.",
    ),
];

pub(super) static ROTATION: &[KeyRow] = &[
    row(
        "default_cooldown",
        Kind::Duration { least: 1, most: DAY },
        "60s",
        "How long a deployment rests after a 429 that names no time.",
    ),
    row(
        "wait_in_place",
        WAIT,
        "0s",
        "Stay with a preferred deployment whose stated wait is at most this long.",
    ),
    row(
        "max_wait",
        WAIT,
        "10s",
        "When every deployment is cooling and the soonest is back within this, the request waits for it.",
    ),
    row("connect_timeout", TIMEOUT, "5s", "The longest time for a connection to be made."),
    row(
        "first_token_timeout",
        TIMEOUT,
        "12s",
        "Silence before the first meaningful event of a stream, while another deployment is left.",
    ),
    row("response_timeout", TIMEOUT, "60s", "Silence before the head of a plain reply."),
    row("stall_timeout", TIMEOUT, "30s", "Silence between events of a stream that has begun."),
    row(
        "request_timeout",
        TIMEOUT,
        "300s",
        "From a request's arrival to the beginning of its answer, all attempts and waits together.",
    ),
    row(
        "unknown_model",
        Kind::OneOf(&["substitute", "pass", "reject"]),
        "substitute",
        "A model name that nobody lists: use each provider's own, pass it on, or answer 404.",
    ),
    row(
        "stream_recovery",
        Kind::OneOf(&["auto", "off"]),
        "auto",
        "A stream that is cut: continue it where that is safe, or end it with an error event.",
    ),
    row("allow_paid", Kind::Switch, "true", "Whether providers with `tier: paid` are used."),
    row(
        "heartbeat",
        Kind::OptionalDuration { least: 100, most: HOUR },
        "off",
        "How often a comment is sent to a client that waits for its stream.",
    ),
    row(
        "keys",
        Kind::OneOf(&["in_order", "spread"]),
        "in_order",
        "Several keys of a provider: one after the other, or in turn.",
    ),
];

pub(super) static PROVIDER: &[KeyRow] = &[
    row("name", Kind::Text, "", "The name; one of the catalogue brings everything else with it."),
    row(
        "priority",
        Kind::Integer { least: -1_000_000_000, most: 1_000_000_000 },
        "",
        "Lower is tried first; left out, it follows the provider above.",
    ),
    row("base_url", Kind::Text, "", "The provider's URL, with or without `/v1`."),
    row(
        "endpoint_override",
        Kind::Text,
        "",
        "The exact path of chat completions, behind `base_url`.",
    ),
    row("api_key", Kind::Texts, "", "The key; left out, the catalogue's variables are looked up."),
    row("api_keys", Kind::Texts, "", "Several keys."),
    row(
        "model",
        Kind::Texts,
        "",
        "The model; `auto` takes the first chat model of the provider's list.",
    ),
    row("models", Kind::Texts, "", "Several models, the preferred one first."),
    row("limits", Kind::Section(Section::Limits), "", "What the provider allows."),
    row(
        "reset",
        Kind::Text,
        "",
        "When daily limits begin anew: `00:00 America/Los_Angeles`, `00:00 UTC` or `rolling`.",
    ),
    row("tier", Kind::OneOf(&["free", "paid"]), "", "Whether its use costs money."),
    row("timeouts", Kind::Section(Section::Timeouts), "", "Times that differ from `rotation`."),
    row("drop_params", Kind::Texts, "", "Request parameters that this provider does not get."),
    row(
        "lacks",
        Kind::SomeOf(crate::traits::LACKS),
        "",
        "What it does not take, besides what is known of it; `n` is several choices, `required_tools` a `tool_choice` of `required`.",
    ),
    row("headers", Kind::TextMap, "", "Further headers of requests to this provider."),
    row("enabled", Kind::Switch, "true", "Whether the provider is used."),
    row(
        "prefill",
        Kind::Switch,
        "",
        "Whether it continues an answer that is given as the last message.",
    ),
    row("keys", Kind::OneOf(&["in_order", "spread"]), "", "As `rotation.keys`, for this provider."),
];

pub(super) static LIMITS: &[KeyRow] = &[
    row("rps", COUNT, "", "Requests in a second."),
    row("rpm", COUNT, "", "Requests in a minute."),
    row("rpd", COUNT, "", "Requests in a day."),
    row("tpm", COUNT, "", "Tokens in a minute."),
    row("tpd", COUNT, "", "Tokens in a day."),
    row("concurrent", COUNT, "", "Requests at the same time."),
    row(
        "scope",
        Kind::OneOf(&["model", "account"]),
        "",
        "Whether each model of a key has its own budget, or all share one; left out, as is known of it.",
    ),
    row("context", COUNT, "", "Tokens of the context window."),
    row(
        "max_output",
        COUNT,
        "",
        "Tokens of the longest answer; a request that asks for more asks for this many.",
    ),
    row(
        "assumed_output",
        COUNT,
        "",
        "Output tokens that it reserves when a request names no maximum.",
    ),
];

pub(super) static TIMEOUTS: &[KeyRow] = &[
    row("connect", TIMEOUT, "", "As `rotation.connect_timeout`."),
    row("first_token", TIMEOUT, "", "As `rotation.first_token_timeout`."),
    row("response", TIMEOUT, "", "As `rotation.response_timeout`."),
    row("stall", TIMEOUT, "", "As `rotation.stall_timeout`."),
    row("request", TIMEOUT, "", "As `rotation.request_timeout`."),
];
