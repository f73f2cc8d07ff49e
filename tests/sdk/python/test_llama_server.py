"""The proxy before a server that was not written here: llama.cpp's, with a tiny random model."""

import openai
import pytest

from replies import QUESTION

pytest.importorskip("xllamacpp", reason="llama.cpp's server is not prebuilt for this platform")
pytest.importorskip("gguf")

from tiny_model import CONTEXT, write_tiny_model


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """The server's base URL."""
    import xllamacpp

    path = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    write_tiny_model(path)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = CONTEXT
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = 1
    parameters.n_threads_http = 4
    parameters.verbosity = 0
    parameters.offline = True
    parameters.warmup = parameters.fit_params = parameters.ui = False
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
def client(proxy_before, client_of, first, llama):
    """A client whose preferred provider takes one request a minute; then llama.cpp serves."""
    first.limit(1)
    return client_of(proxy_before(first, llama))


def ask(client, **more):
    options = {"model": "gpt-4o", "messages": QUESTION, "max_tokens": 12, **more}
    return client.chat.completions.with_raw_response.create(**options)


def test_plain_calls_rotate_from_a_limited_provider_to_llama(client, first):
    served = [ask(client) for _ in range(4)]
    assert [raw.headers["x-provider"] for raw in served] == ["first"] + ["second"] * 3
    for raw in served[1:]:
        reply = raw.parse()
        assert reply.usage.completion_tokens == 12
        assert reply.choices[0].finish_reason == "length"
        assert reply.choices[0].message.content
    assert first.count == 2  # an answer and a refusal


def test_streams_rotate_from_a_limited_provider_to_llama(client):
    served = [ask(client, stream=True, seed=1, temperature=0) for _ in range(3)]
    assert [raw.headers["x-provider"] for raw in served] == ["first", "second", "second"]
    texts = []
    for raw in served[1:]:
        chunks = list(raw.parse())
        pieces = [one.choices[0].delta.content for one in chunks if one.choices]
        assert len([piece for piece in pieces if piece]) == 12
        assert chunks[-1].choices[0].finish_reason == "length"
        assert all(one.usage is None for one in chunks)
        texts.append("".join(piece or "" for piece in pieces))
    assert texts[0] == texts[1]


def test_llamas_usage_arrives_when_asked_for(client):
    ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}).parse())
    assert chunks[-1].usage.completion_tokens == 12


def test_llamas_own_words_arrive_when_the_prompt_is_too_long(proxy_before, client_of, llama):
    client = client_of(proxy_before(llama))
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, messages=[{"role": "user", "content": "word " * CONTEXT}])
    assert "exceeds the available context size" in caught.value.message
    assert ask(client).parse().choices


def test_legacy_completions_reach_llama(proxy_before, client_of, llama):
    client = client_of(proxy_before(llama))
    reply = client.completions.create(model="any", prompt="Once", max_tokens=5)
    assert reply.usage.completion_tokens == 5
