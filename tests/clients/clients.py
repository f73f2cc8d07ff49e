"""LangChain and llm before a proxy whose first provider is limited: both must get the second one's answer."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sdk" / "python"))

from processes import Proxy, Simulated  # noqa: E402

LIMITED = {"status": 429, "headers": {"retry-after": "60"}, "json": {"error": {"message": "Slow down."}}}
ANSWER = "Hello there."
LLM = pathlib.Path(sys.executable).with_name("llm")


def langchain(base_url):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url=base_url, api_key="unused", model="default")
    whole = model.invoke("Hello")
    assert whole.content == ANSWER, whole
    parts = [part.content for part in model.stream("Hello")]
    assert "".join(parts) == ANSWER and len(parts) > 2, parts


def llm(base_url):
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LLM_USER_PATH": folder, "OPENAI_API_KEY": "unused"}

        def said(*arguments):
            command = [LLM, *arguments]
            return subprocess.check_output(command, env=environment, text=True, stdin=subprocess.DEVNULL, timeout=60).strip()

        assert said("openai", "endpoint", base_url, "-m", "default", "Hello") == ANSWER
        models = f"- model_id: proxy\n  model_name: default\n  api_base: {base_url}\n"
        pathlib.Path(folder, "extra-openai-models.yaml").write_text(models)
        assert said("-m", "proxy", "Hello") == ANSWER
        assert said("-m", "proxy", "--no-stream", "Hello") == ANSWER


def tried(client):
    first, second = Simulated().script(LIMITED), Simulated().script({"answer": ["Hello", " there", "."]})
    with tempfile.TemporaryDirectory() as folder:
        providers = [
            {"name": name, "base_url": simulated.base_url, "api_key": f"key-of-{name}", "model": f"{name}-1"}
            for name, simulated in (("first", first), ("second", second))
        ]
        proxy = Proxy(pathlib.Path(folder), {"providers": providers})
        try:
            client(proxy.base_url)
            assert first.count == 1, "the first provider is asked once, and then rests"
        finally:
            proxy.stop()
            first.stop()
            second.stop()
    print(f"clients: {client.__name__} got its answers")


tried(langchain)
tried(llm)
