"""What the proxy executes for a plain request, a hop after a 429, and one event of a stream.

Time on a shared machine says little; the number of instructions hardly changes from run to run.
Valgrind counts those of the proxy's process, without the kernel's, once for the thread that
serves and once for those behind it: the memory's and the log's. How much a thread behind takes
depends on how many requests it finds together, and Valgrind lets few come together. A short and a
long run are compared, so that the start does not count. More than `bounds.json` allows is a
failure.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

import run
import servers

BOUNDS = servers.HERE / "bounds.json"
CHAT = "/v1/chat/completions"
LONG = 128 << 10  # bytes of a long prompt
KEY = "sk-bench-0123456789"
HOPS = 10  # providers that refuse before one answers
LIMITED = {"status": 429, "json": {"error": {"message": "Rate limit reached", "code": "x"}}}


class Caller:
    """One connection that is kept."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path, body):
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)
        answer = b""
        while not is_whole(answer):
            answer += self.socket.recv(1 << 20) or sys.exit("the proxy closed the connection")
        if not answer.startswith(b"HTTP/1.1 200"):
            sys.exit(answer[:300].decode(errors="replace"))


def is_whole(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return len(body) == int(length[1]) if length else answer.endswith(b"\r\n0\r\n\r\n")


class Bench:
    """One program with its configurations."""

    def __init__(self, program, folder, profile):
        self.program, self.folder, self.profile = program, folder, profile

    def each(self, upstreams, requests, few, many):
        """Instructions for one repetition of the requests, before providers in this order."""
        providers = [
            servers.provider(f"bench{number}", upstream.base_url, api_key=KEY)
            for number, upstream in enumerate(upstreams)
        ]
        config = servers.write_config(self.folder, "config", providers)
        short = self.all(config, requests * few, self.folder / "short")
        long = self.all(config, requests * many, self.profile)
        return [(more - less) / (many - few) for more, less in zip(long, short)]

    def all(self, config, requests, profile):
        """Instructions from the start of the program to its end, of the two kinds of threads."""
        port = servers.free_port()
        state = tempfile.mkdtemp(dir=self.folder)
        counter = ["valgrind", "--tool=callgrind", "--separate-threads=yes"]
        counter.append(f"--callgrind-out-file={profile}")
        command = [*counter, *servers.proxy_command(self.program, config, port, state)]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=self.folder, text=True, **pipes)
        servers.wait_for(port, 30)
        caller = Caller(port)
        for path, body in requests:
            caller.ask(path, body)
        caller.socket.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        each = [instructions(file) for file in sorted(profile.parent.glob(f"{profile.name}-*"))]
        return each[0], sum(each[1:])


def instructions(profile):
    """What one thread executed, by its profile."""
    return int(re.search(r"^totals: (\d+)", profile.read_text(errors="replace"), re.M)[1])


def chat(stream=False, prompt=None):
    messages = [{"role": "user", "content": prompt}] if prompt else run.REQUEST["messages"]
    return CHAT, json.dumps({**run.REQUEST, "messages": messages, "stream": stream}).encode()


def measures(bench, upstream, refusing):
    """What is counted: a name, and how."""
    reset = ("/reset", b"{}")

    def hop():
        chain = [refusing] * HOPS + [upstream]
        none = bench.each([upstream], [chat(), reset], few=10, many=110)
        all_hops = bench.each(chain, [chat(), reset], few=2, many=22)
        return [(long - short) / HOPS for long, short in zip(all_hops, none)]

    def event():
        upstream.order(script=[{"events": run.burst()}])
        whole = bench.each([upstream], [chat(stream=True)], few=10, many=60)
        return [count / run.EVENTS for count in whole]

    long = chat(prompt="A long prompt. " * (LONG // 15))
    return {
        "plain request": lambda: bench.each([upstream], [chat()], few=50, many=550),
        "plain request of 128 KiB": lambda: bench.each([upstream], [long], few=10, many=60),
        "hop after a 429": hop,
        "event of a stream": event,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, default="target", help="cargo's folder")
    parser.add_argument("--profile", type=pathlib.Path, help="where callgrind's profiles go")
    parser.add_argument("--only", help="the one thing to count")
    given = parser.parse_args()
    bounds = json.loads(BOUNDS.read_text(encoding="utf-8"))
    program = (given.binaries / "release" / "llm-proxy").resolve()
    upstream_program = str((given.binaries / "release/examples/upstream").resolve())
    too_many = False
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstreams = [servers.Driven(stack, upstream_program, "--count") for _ in range(2)]
        upstreams[0].order(script=[run.ANSWER])
        upstreams[1].order(script=[LIMITED])
        profile = given.profile or folder / "long"
        print(f"{'instructions for one':<28}{'served':>12}{'allowed':>12}{'behind':>12}{'allowed':>12}")
        for name, count in measures(Bench(str(program), folder, profile), *upstreams).items():
            if given.only in (None, name):
                pairs = list(zip(map(round, count()), bounds[name]))
                is_over = any(counted > allowed for counted, allowed in pairs)
                too_many |= is_over
                cells = "".join(f"{counted:>12,}{allowed:>12,}" for counted, allowed in pairs)
                print(f"{name:<28}{cells}{'  too many' if is_over else ''}", flush=True)
    return 1 if too_many else 0


if __name__ == "__main__":
    sys.exit(main())
