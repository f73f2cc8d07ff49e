"""What simulated providers are told to answer."""

QUESTION = [{"role": "user", "content": "Grüße, 世界 🌍"}]

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def answer(*pieces, **more):
    return {"answer": pieces, **more}


def refusal(status, message="Slow down.", headers=None, **more):
    error = {"message": message, "type": "simulated", "param": None, "code": None, **more}
    return {"status": status, "headers": headers or {}, "json": {"error": error}}


def completion(message, finish_reason="stop", **more):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None}
    return {
        "json": {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "real-model",
            "choices": [{**choice, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            **more,
        }
    }


def chunk(delta, finish_reason=None):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "real-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def tool_call(**function):
    return {"id": "call_1", "type": "function", "function": function}


def tool_call_stream(*arguments):
    """A stream of one tool call whose arguments come in pieces."""
    opening = {"index": 0, **tool_call(name="weather", arguments="")}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in arguments]
    deltas = [{"role": "assistant", "content": None, "tool_calls": [opening]}]
    deltas += [{"tool_calls": [piece]} for piece in pieces]
    return {"events": [*map(chunk, deltas), chunk({}, "tool_calls"), "[DONE]"]}
