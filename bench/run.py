"""What the proxy costs: beside a direct call and beside nginx, in rounds taken in turns.

Everything runs on loopback addresses before one cheap upstream with a fixed answer. Figures are
medians of the rounds; on a busy machine the ratios say more than the figures.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = (1, 16, 64)
COMPARED_AT = 16  # connections at which CPU time is compared
STARTS = 20
EVENTS = 64  # in a stream
PLAIN, PACED, BURST = "plain", "paced", "burst"
NAMES = ("direct", "nginx", "llm-proxy")
REQUEST = {
    "model": "default",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Say something of about one kilobyte. " * 8},
    ],
}
TICKS = os.sysconf("SC_CLK_TCK")


def completion():
    """A chat completion of about 1 KB."""
    message = {"role": "assistant", "content": "Nothing is ever said in vain. " * 24}
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "bench-model",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 170, "total_tokens": 260},
    }


def chunk(delta, finish_reason=None):
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def stream():
    """The events of a stream."""
    pieces = [chunk({"content": " word"}) for _ in range(EVENTS - 3)]
    opening = chunk({"role": "assistant", "content": ""})
    return [opening, *pieces, chunk({}, "stop"), "[DONE]"]


class Upstream:
    """The simulated provider; it ends with its stdin."""

    def __init__(self, program):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([program, "--count"], stdin=pipe, stdout=pipe, text=True)
        self.base_url = self.process.stdout.readline().strip()

    def answer(self, reply):
        self.process.stdin.write(json.dumps({"script": [reply]}) + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


class Server:
    """A process that is measured."""

    def __init__(self, stack, command, **options):
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, **options)
        stack.callback(self.stop)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_seconds(self):
        """User and system time of all its threads."""
        with contextlib.suppress(FileNotFoundError):
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
            user, system = fields.rpartition(")")[2].split()[11:13]
            return (int(user) + int(system)) / TICKS
        seconds = 0.0
        for part in self.ps("time").split(":"):
            seconds = seconds * 60 + float(part)
        return seconds

    def resident_mib(self):
        return int(self.ps("rss")) / 1024

    def ps(self, column):
        command = ["ps", "-o", f"{column}=", "-p", str(self.process.pid)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(port):
    """One request; returns when the whole answer is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(REQUEST), headers)
    answer = connection.getresponse()
    if answer.status != 200 or not answer.read():
        sys.exit(f"port {port} answered {answer.status}")
    connection.close()


def write_config(folder, upstream):
    provider = {"name": "bench", "api_key": "bench", "model": "bench-model"}
    settings = {"providers": [{**provider, "base_url": upstream.base_url}]}
    config = folder / "config.yaml"
    config.write_text(json.dumps(settings))  # JSON is YAML
    return config


def serve(program, config, port):
    return [program, "serve", "--config", str(config), "--port", str(port), "--exit-with-parent"]


def start_proxy(stack, program, config):
    port = free_port()
    command = serve(program, config, port)
    server = Server(stack, command, cwd=config.parent, stdout=subprocess.DEVNULL)
    wait_for(port)
    return server, port


def start_nginx(stack, program, folder, upstream):
    port = free_port()
    address = upstream.base_url.removeprefix("http://").removesuffix("/v1")
    text = (HERE / "nginx.conf").read_text(encoding="utf-8")
    config = folder / "nginx.conf"
    config.write_text(text.replace("@PORT@", str(port)).replace("@UPSTREAM@", address))
    server = Server(stack, [program, "-p", str(folder), "-c", str(config), "-e", "stderr"])
    wait_for(port)
    return server, port


def wait_for(port):
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    sys.exit(f"nobody listens on port {port}")


def find_nginx(binaries):
    unpacked = binaries / "bench" / "nginx"
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    return found or (str(unpacked) if unpacked.exists() else None)


class Load:
    """Requests by wrk."""

    def __init__(self, folder, seconds):
        self.seconds = seconds
        self.folder = folder

    def run(self, port, connections, kind):
        body = self.folder / "body.json"
        body.write_text(json.dumps({**REQUEST, "stream": kind != PLAIN}))
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        options = ["-t", "1", "-c", str(connections), "-d", f"{self.seconds}s"]
        command = ["wrk", *options, "-s", str(HERE / "post.lua"), url, "--", str(body)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        seen = json.loads(ran.stdout.splitlines()[-1])
        if seen["errors"] or not seen["requests"]:
            sys.exit(f"{seen['errors']} of the requests to port {port} failed")
        return seen


def measure(load, targets, connections, kind, rounds):
    """Medians for each target, the targets taken in turns."""
    found = {name: [] for name in targets}
    for _ in range(rounds):
        for name, (server, port) in targets.items():
            before = server.cpu_seconds() if server else 0
            seen = load.run(port, connections, kind)
            spent = (server.cpu_seconds() if server else 0) - before
            rate = seen["requests"] / seen["seconds"]
            cpu = spent / seen["requests"] * 1e6
            found[name].append((rate, seen["p50"], seen["p99"], cpu))
    return {
        name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items()
    }


def starts(program, config):
    """Medians in milliseconds from the start to `listening` and to the end of a first answer."""
    listening, answered = [], []
    for _ in range(STARTS):
        with contextlib.ExitStack() as stack:
            command = serve(program, config, 0)
            server = Server(stack, command, cwd=config.parent, stdout=subprocess.PIPE, text=True)
            lines = stack.enter_context(server.process.stdout)
            line = next(line for line in lines if line.startswith("listening on "))
            listening.append((time.perf_counter() - server.began) * 1000)
            call(int(line.rsplit(":", 1)[1]))
            answered.append((time.perf_counter() - server.began) * 1000)
    return statistics.median(listening), statistics.median(answered)


def machine():
    model = platform.processor()
    with contextlib.suppress(FileNotFoundError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(": ")[1] for line in lines if "model name" in line), model)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} x {model}, load {load}"


def print_row(label, values):
    """One line: direct, nginx, proxy, and the proxy as a multiple of nginx."""
    cells = "".join(f"{'-' if value is None else f'{value:,.1f}':>12}" for value in values)
    _, nginx, proxy = values
    compared = f"{proxy / nginx:>11.2f}x" if nginx and proxy else ""
    print(f"{label:<38}{cells}{compared}")


def print_comparison(results):
    def column(connections, kind, index):
        medians = results[connections, kind]
        return [medians[name][index] if name in medians else None for name in NAMES]

    def cpu(kind):
        return [None, *column(COMPARED_AT, kind, 3)[1:]]

    print(f"{'':<38}{'direct':>12}{'nginx':>12}{'llm-proxy':>12}{'to nginx':>12}")
    for connections in CONNECTIONS:
        print_row(f"requests/s, {connections} connections", column(connections, PLAIN, 0))
    print_row("p50 in us, 1 connection", column(1, PLAIN, 1))
    direct, nginx, proxy = column(1, PLAIN, 1)
    print_row("  added", [None, nginx and nginx - direct, proxy - direct])
    print_row("p99 in us, 1 connection", column(1, PLAIN, 2))
    print_row(f"CPU us/request, {COMPARED_AT} connections", cpu(PLAIN))
    print_row(f"CPU us/stream of {EVENTS} events, 1 ms apart", cpu(PACED))
    print_row(f"CPU us/stream of {EVENTS} events, all at once", cpu(BURST))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--binaries", type=pathlib.Path, default="target", help="cargo's folder")
    return parser.parse_args()


def main():
    given = arguments()
    rounds, seconds = (2, 1) if given.quick else (4, 2)
    program = str((given.binaries / "release" / "llm-proxy").resolve())
    began = time.monotonic()
    print(f"machine: {machine()}")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = Upstream(str((given.binaries / "release/examples/upstream").resolve()))
        stack.callback(upstream.process.wait)
        stack.callback(upstream.process.stdin.close)
        plain = {"text": json.dumps(completion()), "headers": {"content-type": "application/json"}}
        upstream.answer(plain)
        config = write_config(folder, upstream)
        listening, answered = starts(program, config)
        server, port = start_proxy(stack, program, config)
        targets = {"direct": (None, int(upstream.base_url.split(":")[2].split("/")[0]))}
        if nginx := find_nginx(given.binaries):
            targets["nginx"] = start_nginx(stack, nginx, folder, upstream)
        targets["llm-proxy"] = server, port
        for _, each in targets.values():
            call(each)
        idle = server.resident_mib()
        load = Load(folder, seconds)
        load_of = {(count, PLAIN): plain for count in CONNECTIONS}
        load_of[COMPARED_AT, PACED] = {"events": stream(), "gap_ms": 1}
        load_of[COMPARED_AT, BURST] = {"events": stream()}
        results = {}
        for (connections, kind), reply in load_of.items():
            upstream.answer(reply)
            results[connections, kind] = measure(load, targets, connections, kind, rounds)
        loaded = server.resident_mib()
    print(f"load: wrk -t 1 -c N -d {seconds}s, medians of {rounds} rounds taken in turns")
    print("proxy: llm-proxy serve --config config.yaml > /dev/null; nginx: bench/nginx.conf")
    print(f"took: {time.monotonic() - began:.0f} s\n")
    print_comparison(results)
    print(f"\nstart to `listening`, median of {STARTS}      {listening:8.1f} ms")
    print(f"start to the end of a first answer     {answered:8.1f} ms")
    print(f"resident after one request             {idle:8.1f} MiB")
    print(f"resident after the load                {loaded:8.1f} MiB")
    print(f"size of the binary                     {os.path.getsize(program) / 2**20:8.1f} MiB")


if __name__ == "__main__":
    main()
