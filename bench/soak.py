"""Whether memory and the state file stay small over very many requests.

A tenth of the requests is refused by its provider, and another tenth rotates; the rest is answered
at once. Prints a row at 100,000, 500,000 and 1,000,000 requests. Needs wrk.
"""

import argparse
import contextlib
import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import servers
from servers import HERE, Driven
from run import ANSWER, JSON_TYPE, REQUEST

MARKS = (1_000, 100_000, 500_000, 1_000_000)
SLICE = 5  # seconds of load between two looks
REFUSED = {
    "status": 400,
    "headers": JSON_TYPE,
    "json": {"error": {"message": "Invalid value", "type": "invalid_request_error", "code": None}},
}
TOO_LARGE = {
    "status": 413,
    "headers": JSON_TYPE,
    "json": {"error": {"message": "Request too large", "type": "tokens", "code": None}},
}


def start(stack, binaries, folder):
    upstream = str(binaries / "release" / "examples" / "upstream")
    providers = []
    for name, reply in {"refusing": REFUSED, "small": TOO_LARGE, "good": ANSWER}.items():
        driven = Driven(stack, upstream, "--count")
        driven.order(script=[reply])
        providers.append(servers.provider(name, driven.base_url))
    config = folder / "soak.yaml"
    models = {"usual": ["good"], "turning": ["small", "good"]}
    config.write_text(json.dumps({"providers": providers, "models": models}))
    program = str(binaries / "release" / "llm-proxy")
    return servers.start_proxy(stack, program, config, folder / "state")


def write_bodies(folder):
    names = ["usual"] * 4 + ["refusing"] + ["usual"] * 4 + ["turning"]
    files = []
    for index, name in enumerate(names):
        file = folder / f"body-{index}.json"
        file.write_text(json.dumps({**REQUEST, "model": name}))
        files.append(str(file))
    return files


def load(port, seconds, files):
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    options = ["-t", "1", "-c", "16", "-d", f"{seconds}s", "-s", str(HERE / "soak.lua")]
    ran = subprocess.run(
        ["wrk", *options, url, "--", *files], check=True, capture_output=True, text=True
    )
    seen = json.loads(ran.stdout.splitlines()[-1])
    if seen["lost"]:
        sys.exit(f"{seen['lost']} requests were not answered")
    return seen["requests"]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    told = json.loads(connection.getresponse().read())
    connection.close()
    return told


def look(server, port, done):
    state = get(port, "/status")["state"]
    sums = get(port, "/usage?by=day")["rows"]
    served = sum(row["requests"] + row["refused"] for row in sums)
    row = (
        f"{done:>10,}", f"{served:>10,}", f"{server.resident_mib():8.1f}",
        f"{server.peak_mib() or 0:8.1f}", f"{state['bytes'] / 2**20:8.1f}",
        f"{state['dropped_records']:>8,}", f"{state['lag_ms']:>6}", f"{server.cpu_seconds():8.1f}",
    )
    print("  ".join(row), flush=True)
    if state["error"]:
        sys.exit(state["error"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, default="target", help="cargo's folder")
    parser.add_argument("--requests", type=int, default=MARKS[-1], help="when to end")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server, port = start(stack, given.binaries, folder)
        files = write_bodies(folder)
        print("      sent     counted   RSS MiB  peak MiB  file MiB  unlisted  lag ms     CPU s")
        done, began = 0, time.monotonic()
        marks = [mark for mark in MARKS if mark < given.requests] + [given.requests]
        for mark in marks:
            while done < mark:
                done += load(port, SLICE if done >= MARKS[0] else 1, files)
            look(server, port, done)
        print(f"{done / (time.monotonic() - began):,.0f} requests per second, looks included")


if __name__ == "__main__":
    main()
