"""Streams, as the SDK's iterators see them."""

import asyncio

import openai
import pytest

from replies import QUESTION, WEATHER, answer, chunk, refusal, tool_call_stream


def stream(client, **more):
    options = {"model": "gpt-4o", "messages": QUESTION, "stream": True, **more}
    return client.chat.completions.create(**options)


def text(chunks):
    return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)


def test_a_stream_arrives_piece_by_piece(client, first):
    pieces = ["Grüße", ", ", "世界", " 🌍"]
    first.script(answer(*pieces))
    chunks = list(stream(client))
    assert [one.choices[0].delta.content for one in chunks if one.choices][1:5] == pieces
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(one.usage is None for one in chunks)


def test_usage_comes_only_when_asked_for(client, first):
    chunks = list(stream(client, stream_options={"include_usage": True}))
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 3)
    assert text(stream(client)) == "Hello there."
    assert all(sent["body"]["stream_options"]["include_usage"] for sent in first.requests)


def test_the_streaming_helper_gathers_the_whole(client):
    with client.chat.completions.stream(model="gpt-4o", messages=QUESTION) as events:
        deltas = [event.delta for event in events if event.type == "content.delta"]
    assert "".join(deltas) == "Hello there."
    assert events.get_final_completion().choices[0].message.content == "Hello there."


def test_streamed_tool_arguments_arrive_in_their_pieces(client, first):
    pieces = ['{"ci', 'ty": "Zü', 'rich"}']
    first.script(tool_call_stream(*pieces))
    calls = [
        one.choices[0].delta.tool_calls[0]
        for one in stream(client, tools=[WEATHER])
        if one.choices[0].delta.tool_calls
    ]
    assert calls[0].function.name == "weather"
    assert [call.function.arguments for call in calls[1:]] == pieces


def test_an_error_before_the_first_text_rotates(proxy_before, client_of, first, second):
    error = {"error": {"message": "Overloaded", "type": "overloaded_error", "code": 503}}
    first.script({"events": [chunk({"role": "assistant", "content": ""}), error]})
    client = client_of(proxy_before(first, second))
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=QUESTION, stream=True
    )
    assert raw.headers["x-provider"] == "second"
    assert text(raw.parse()) == "Hello there."


def test_a_limit_rotates_a_stream(proxy_before, client_of, first, second):
    first.script(refusal(429))
    assert text(stream(client_of(proxy_before(first, second)))) == "Hello there."


def test_a_cut_stream_is_an_error_and_never_looks_finished(client, first):
    first.script(answer("Once", " upon", ending="cut"))
    chunks = stream(client)
    got = []
    with pytest.raises(openai.APIError) as caught:
        got.extend(chunks)
    assert caught.value.code == "upstream_stream_interrupted"
    assert text(got) == "Once upon"


def test_a_stream_that_is_left_closes_the_providers(client, first):
    first.script(answer(*["word "] * 500, gap_ms=20))
    chunks = stream(client)
    for one in chunks:
        if one.choices[0].delta.content:
            break
    chunks.close()
    assert first.wait_for_cancellation()


def test_a_cancelled_task_closes_the_providers(proxy_before, first):
    first.script(answer(*["word "] * 500, gap_ms=20))
    proxy = proxy_before(first)

    async def leave():
        async with openai.AsyncOpenAI(base_url=proxy.base_url, api_key="x") as client:
            async with asyncio.timeout(0.3):
                async for _ in await stream(client):
                    pass

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    assert first.wait_for_cancellation()
