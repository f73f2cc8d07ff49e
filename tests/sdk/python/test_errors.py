"""Refusals, as the SDK's exceptions and its own retries see them."""

import time

import openai
import pytest

from replies import QUESTION, answer, refusal

AT_ONCE = {"max_wait": "0s"}


def ask(client, **more):
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": QUESTION, **more})


@pytest.mark.parametrize("status", [429, 503])
def test_the_sdk_waits_as_told_and_then_succeeds(proxy_before, client_of, first, status):
    first.script(refusal(status, headers={"retry-after": "1"}), answer("At last."))
    client = client_of(proxy_before(first, rotation=AT_ONCE), max_retries=2)
    began = time.monotonic()
    assert ask(client).choices[0].message.content == "At last."
    assert 0.9 < time.monotonic() - began < 3
    assert first.count == 2


def test_the_proxy_waits_itself_when_the_wait_is_short(proxy_before, client_of, first):
    first.script(refusal(429, headers={"retry-after": "1"}), answer("At last."))
    assert ask(client_of(proxy_before(first))).choices[0].message.content == "At last."
    assert first.count == 2


def test_everybody_limited_is_a_rate_limit_error_with_a_true_time(
    proxy_before, client_of, first, second
):
    first.script(refusal(429, headers={"retry-after": "70"}))
    second.script(refusal(429, headers={"retry-after": "40"}))
    client = client_of(proxy_before(first, second, rotation=AT_ONCE))
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client)
        assert 38 <= int(caught.value.response.headers["retry-after"]) <= 40
        attempts = caught.value.response.json()["attempts"]
        assert [attempt["provider"] for attempt in attempts] == ["first", "second"]
    assert (first.count, second.count) == (1, 1)


@pytest.mark.parametrize(
    ("status", "exception"),
    [(400, openai.BadRequestError), (422, openai.UnprocessableEntityError)],
)
def test_a_fault_of_the_request_keeps_the_providers_words(
    proxy_before, client_of, first, second, status, exception
):
    message = "messages[0].role: 'usr' is not one of 'user', 'assistant'"
    first.script(refusal(status, message, type="invalid_request_error", param="messages"))
    with pytest.raises(exception) as caught:
        ask(client_of(proxy_before(first, second), max_retries=2))
    assert caught.value.body["message"] == message
    assert caught.value.param == "messages"
    assert caught.value.response.headers["x-provider"] == "first"
    assert (first.count, second.count) == (1, 0)


def test_a_refused_key_of_ours_is_not_the_applications_fault(proxy_before, client_of, first):
    first.script(refusal(401, "Incorrect API key provided: secret-of-first"))
    client = client_of(proxy_before(first), max_retries=2)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.status_code == 502
    assert "secret-of-first" not in caught.value.response.text
    assert first.count == 1


def test_an_unknown_model_can_be_rejected(proxy_before, client_of, first):
    client = client_of(proxy_before(first, rotation={"unknown_model": "reject"}))
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert first.count == 0


def test_an_api_that_is_not_served_is_not_found(client):
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="any", input="text")


def test_a_proxy_with_keys_asks_for_one(proxy_before, client_of, first):
    proxy = proxy_before(first, api_keys=["the-right-one"])
    with pytest.raises(openai.AuthenticationError):
        ask(client_of(proxy))
    assert ask(client_of(proxy, api_key="the-right-one")).choices


def test_a_body_beyond_the_limit_is_refused(proxy_before, client_of, first):
    client = client_of(proxy_before(first, max_body=2048))
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, messages=[{"role": "user", "content": "x" * 3000}])
    assert caught.value.status_code == 413


def test_nobody_reachable_is_a_server_error_in_bounded_time(proxy_before, client_of):
    client = client_of(proxy_before("http://127.0.0.1:9/v1", rotation=AT_ONCE))
    began = time.monotonic()
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.status_code == 502
    assert time.monotonic() - began < 10
