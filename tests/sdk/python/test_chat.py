"""Calls that are answered in one piece."""

import asyncio
import json

import openai
import pydantic
import pytest

from replies import QUESTION, WEATHER, answer, completion, refusal, tool_call


def ask(client, **more):
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": QUESTION, **more})


def test_a_plain_answer_arrives_whole(client, first):
    reply = ask(client, temperature=0.25, extra_body={"unknown_field": {"kept": [1.50]}})
    assert reply.choices[0].message.content == "Hello there."
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.completion_tokens == 3
    sent = first.requests[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["body"] == {
        "model": "first-model",
        "messages": QUESTION,
        "temperature": 0.25,
        "unknown_field": {"kept": [1.50]},
    }


def test_the_clients_key_stays_here_and_the_providers_goes_out(proxy_before, client_of, first):
    client = client_of(proxy_before(first), api_key="sk-anything-at-all")
    assert ask(client).choices
    sent = first.requests[0]["headers"]
    assert sent["authorization"] == "Bearer secret-of-first"
    assert "sk-anything-at-all" not in json.dumps(sent)


def test_the_headers_say_who_served(proxy_before, client_of, first, second):
    first.script(refusal(429, headers={"retry-after": "30"}))
    second.script(answer("Hi.", headers={"x-request-id": "r-1", "set-cookie": "a=b"}))
    client = client_of(proxy_before(first, second))
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)
    assert raw.headers["x-provider"] == "second"
    assert raw.headers["x-model"] == "second-model"
    assert raw.headers["x-attempts"] == "2"
    assert raw.headers["x-rotation"] == "first=429;retry=30s, second=200"
    assert raw.headers["x-request-id"] == "r-1"
    assert "set-cookie" not in raw.headers
    assert raw.parse().choices[0].message.content == "Hi."


def test_rotation_is_invisible_to_the_application(proxy_before, client_of, simulated):
    first, second, third = (simulated() for _ in range(3))
    first.limit(2)
    second.script(refusal(503))
    third.script(answer("Still here."))
    client = client_of(proxy_before(first, second, third))
    replies = [ask(client).choices[0].message.content for _ in range(6)]
    assert replies[2:] == ["Still here."] * 4
    assert (first.count, third.count) == (3, 4)  # two answers and one refusal


def test_a_provider_without_headers_costs_one_refusal(proxy_before, client_of, first, second):
    first.script(refusal(429))
    client = client_of(proxy_before(first, second))
    assert all(ask(client).choices for _ in range(4))
    assert (first.count, second.count) == (1, 4)


def test_a_tool_call_keeps_its_arguments(client, first):
    arguments = '{"city": "Zürich", "days": 2}'
    call = tool_call(name="weather", arguments=arguments)
    first.script(completion({"content": None, "tool_calls": [call]}, "tool_calls"))
    reply = ask(client, tools=[WEATHER], tool_choice="auto")
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.choices[0].message.tool_calls[0].function.arguments == arguments
    assert first.requests[0]["body"]["tools"] == [WEATHER]


def test_a_typed_answer_is_parsed(client, first):
    class City(pydantic.BaseModel):
        name: str

    first.script(completion({"content": '{"name": "Bern"}'}))
    reply = client.chat.completions.parse(
        model="gpt-4o", messages=QUESTION, response_format=City
    )
    assert reply.choices[0].message.parsed == City(name="Bern")
    assert first.requests[0]["body"]["response_format"]["type"] == "json_schema"


def test_fields_beyond_openais_reach_the_application(client, first):
    first.script(completion({"content": "42", "reasoning_content": "hmm"}, x_extra={"a": 1}))
    reply = ask(client)
    assert reply.choices[0].message.reasoning_content == "hmm"
    assert reply.x_extra == {"a": 1}


def test_legacy_completions_work(client, first):
    reply = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once")
    assert reply.choices[0].text == "Hello there."
    assert first.requests[0]["path"] == "/v1/completions"
    pieces = client.completions.create(model="any", prompt="Once", stream=True)
    assert "".join(piece.choices[0].text for piece in pieces if piece.choices) == "Hello there."


def test_the_models_can_be_listed_and_retrieved(client):
    assert [model.id for model in client.models.list()] == ["default", "first/first-model"]
    assert client.models.retrieve("default").object == "model"
    assert client.models.retrieve("first/first-model").owned_by == "first"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/nothing")


def test_a_listed_model_can_be_asked_for_by_its_name(proxy_before, client_of, first, second):
    client = client_of(proxy_before(first, second))
    for model in client.models.list():
        assert ask(client, model=model.id).choices
    assert (first.count, second.count) == (2, 1)


def test_async_clients_are_served_at_the_same_time(proxy_before, first):
    first.script(answer("Hello.", after_ms=300))
    proxy = proxy_before(first)

    async def ask_all():
        async with openai.AsyncOpenAI(base_url=proxy.base_url, api_key="x") as client:
            calls = (ask(client) for _ in range(20))
            return await asyncio.wait_for(asyncio.gather(*calls), 3)

    replies = asyncio.run(ask_all())
    assert {reply.choices[0].message.content for reply in replies} == {"Hello."}
