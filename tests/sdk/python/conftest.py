"""What every test of the SDK suite may ask for."""

import contextlib

import openai
import pytest

from processes import Proxy, Simulated


@pytest.fixture
def simulated():
    """Starts simulated providers."""
    with contextlib.ExitStack() as stack:

        def start():
            provider = Simulated()
            stack.callback(provider.stop)
            return provider

        yield start


@pytest.fixture
def proxy_before(tmp_path):
    """Starts the proxy before the given providers, the first being the preferred one."""
    started = []

    def start(*providers, rotation=None, **server):
        settings = {
            "providers": [
                {
                    "name": name,
                    "base_url": getattr(provider, "base_url", provider),
                    "api_key": f"secret-of-{name}",
                    "model": f"{name}-model",
                }
                for name, provider in zip(("first", "second", "third"), providers)
            ]
        }
        if rotation:
            settings["rotation"] = rotation
        if server:
            settings["server"] = server
        started.append(Proxy(tmp_path, settings))
        return started[-1]

    yield start
    for proxy in started:
        code = proxy.stop()
        log = "\n".join(proxy.log)
        assert (code, proxy.errors) == (0, []), log
        assert "panicked" not in log
        assert "secret-of-" not in log


@pytest.fixture
def first(simulated):
    return simulated()


@pytest.fixture
def second(simulated):
    return simulated()


@pytest.fixture
def client_of():
    """Makes SDK clients that do not retry unless told to."""
    with contextlib.ExitStack() as stack:

        def make(proxy, **options):
            options = {"api_key": "any string", "max_retries": 0, "timeout": 20, **options}
            client = openai.OpenAI(base_url=proxy.base_url, **options)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def client(proxy_before, client_of, first):
    """A client of a proxy with the one provider `first`."""
    return client_of(proxy_before(first))
