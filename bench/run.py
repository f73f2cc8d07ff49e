"""What the proxy costs: beside a direct call, nginx and HAProxy, in rounds taken in turns.

Everything runs on loopback addresses before one cheap upstream. Figures are medians of the
rounds; on a busy machine the ratios say more than the figures.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import servers
from servers import HERE, Driven, Server

CONNECTIONS = (1, 16, 64, 256)
COMPARED_AT = 16  # connections at which CPU time is compared
RATES = (500, 2000)  # requests per second
STARTS = 20
EVENTS = 64  # of a stream in one burst
PACED = {"count": 50, "events": 100, "gap_ms": 20}
HELD = (1000, 5000)
BODIES = {"count": 64, "bytes": 5_000_000}
LARGE = 128 << 10  # bytes of a large prompt
MANY = 200  # deployments of a long chain
REQUEST = {
    "model": "default",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Say something of about one kilobyte. " * 8},
    ],
}
JSON_TYPE = {"content-type": "application/json"}


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


def burst():
    """The events of a stream that come all at once."""
    pieces = [chunk({"content": " word"}) for _ in range(EVENTS - 3)]
    opening = chunk({"role": "assistant", "content": ""})
    return [opening, *pieces, chunk({}, "stop"), "[DONE]"]


ANSWER = {"text": json.dumps(completion()), "headers": JSON_TYPE}
LIMITED = {
    "status": 429,
    "headers": {**JSON_TYPE, "retry-after-ms": "1"},
    "json": {"error": {"message": "Rate limit reached", "type": "requests", "code": None}},
}
LONG_LIMITED = {**LIMITED, "headers": {**JSON_TYPE, "retry-after": "86400"}}


@dataclasses.dataclass
class Bench:
    """Where everything is, and how long it runs."""

    folder: pathlib.Path
    program: str
    examples: pathlib.Path
    rounds: int
    seconds: int

    def wrk(self, port, connections, body):
        """Requests as fast as they are answered."""
        file = self.folder / "body.json"
        file.write_text(json.dumps(body))
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        options = ["-t", "1", "-c", str(connections), "-d", f"{self.seconds}s"]
        command = ["wrk", *options, "-s", str(HERE / "post.lua"), url, "--", str(file)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        seen = json.loads(ran.stdout.splitlines()[-1])
        if seen["errors"] or not seen["requests"]:
            sys.exit(f"{seen['errors']} of the requests to port {port} failed")
        return seen

    def in_turns(self, targets, measure):
        """Medians of what `measure` finds for each target, the targets taken in turns."""
        found = {name: [] for name in targets}
        for _ in range(self.rounds):
            for name, (server, port) in targets.items():
                before = server.cpu_seconds() if server else 0
                seen = measure(port)
                seen["cpu"] = (server.cpu_seconds() if server else 0) - before
                found[name].append(seen)
        return {name: medians(rows) for name, rows in found.items()}

    def load(self, targets, connections, body=REQUEST):
        def measure(port):
            seen = self.wrk(port, connections, body)
            return {**seen, "rate": seen["requests"] / seen["seconds"]}

        found = self.in_turns(targets, measure)
        for seen in found.values():
            seen["cpu_each"] = seen["cpu"] / seen["requests"] * 1e6
        return found


def medians(rows):
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def plain_loads(bench, targets, report):
    plain = {count: bench.load(targets, count) for count in CONNECTIONS}
    for count, found in plain.items():
        report.row(f"requests/s, {count} connections", found, "rate")
    report.row("p50 in us, 1 connection", plain[1], "p50")
    report.row("p99 in us, 1 connection", plain[1], "p99")
    report.row(f"CPU us/request, {COMPARED_AT} connections", plain[COMPARED_AT], "cpu_each")
    large = {**REQUEST, "messages": [{"role": "user", "content": "a word " * (LARGE // 7)}]}
    found = bench.load(targets, COMPARED_AT, large)
    report.row(f"CPU us/request, prompt of {LARGE >> 10} KB", found, "cpu_each")


def stream_bursts(bench, targets, upstream, report):
    upstream.order(script=[{"events": burst()}])
    found = bench.load(targets, COMPARED_AT, {**REQUEST, "stream": True})
    report.row(f"CPU us/stream of {EVENTS} events at once", found, "cpu_each")
    upstream.order(script=[ANSWER])


def chains(bench, upstream, report):
    """What it costs to go around a limited provider, and a long chain."""
    with contextlib.ExitStack() as stack:
        first = Driven(stack, str(bench.examples / "upstream"), "--count")
        two = [servers.provider("first", first.base_url), servers.provider("bench", upstream.base_url)]
        one = start_chain(bench, stack, "around", two)
        first.order(script=[LONG_LIMITED])
        found = bench.load({"llm-proxy": one}, COMPARED_AT)["llm-proxy"]
        report.own("CPU us/request, first provider cooling", found["cpu_each"])
        long_chain = [
            servers.provider(f"bench-{index}", upstream.base_url) for index in range(MANY)
        ]
        many = start_chain(bench, stack, "many", long_chain)
        found = bench.load({"llm-proxy": many}, COMPARED_AT)["llm-proxy"]
        report.own(f"CPU us/request, {MANY} deployments", found["cpu_each"])
    with contextlib.ExitStack() as stack:
        first = Driven(stack, str(bench.examples / "upstream"), "--count")
        two[0] = servers.provider("first", first.base_url)
        second = start_chain(bench, stack, "second", two)
        refusals = [LIMITED, ANSWER] * 1000
        first.order(script=refusals)
        spent = second[0].cpu_seconds()
        seen = bench.wrk(second[1], COMPARED_AT, REQUEST)
        spent = (second[0].cpu_seconds() - spent) * 1e6
        report.own("CPU us/request, first one limits every second", spent / seen["requests"])


def start_chain(bench, stack, name, providers):
    config = servers.write_config(bench.folder, name, providers)
    server, port = servers.start_proxy(stack, bench.program, config, bench.folder / name)
    servers.call(port, REQUEST)
    return server, port


def paced(bench, starters, report):
    """At fixed rates, and streams of events with time between them, by one clock at both ends."""
    with contextlib.ExitStack() as stack:
        pace = Driven(stack, str(bench.examples / "pace"))
        targets = {"direct": (None, pace.port)}
        targets |= {name: start(stack, pace) for name, start in starters.items()}
        for rate in RATES:
            order = {"per_second": rate, "connections": COMPARED_AT, "seconds": bench.seconds}
            found = bench.in_turns(targets, lambda port: pace.order(rate={"port": port, **order}))
            report.row(f"p50 in us at {rate:,} requests/s", found, "p50", added=True)
            report.row(f"p99 in us at {rate:,} requests/s", found, "p99", added=True)
        found = bench.in_turns(targets, lambda port: pace.order(streams={"port": port, **PACED}))
        for seen in found.values():
            seen["cpu_each"] = seen["cpu"] / seen["events"] * 1e6
        gap = PACED["gap_ms"]
        report.row(f"delay of an event in us, {gap} ms apart, p50", found, "p50", added=True)
        report.row(f"delay of an event in us, {gap} ms apart, p99", found, "p99", added=True)
        report.row(f"events per read, {gap} ms apart", found, "events_per_read")
        report.row(f"CPU us/event, {gap} ms apart", found, "cpu_each")
        memory(pace, {name: each for name, each in targets.items() if each[0]}, report)


def memory(pace, targets, report):
    loaded, figures, each = {}, {count: {} for count in HELD}, {}
    few, many = HELD
    for name, (server, port) in targets.items():
        loaded[name] = {"mib": server.resident_mib()}
        held = 0
        for count in HELD:
            pace.order(hold={"port": port, "count": count - held})
            held = count
            figures[count][name] = {"mib": server.resident_mib()}
        pace.order(release=True)
        grown = figures[many][name]["mib"] - figures[few][name]["mib"]
        each[name] = {"kib": grown * 1024 / (many - few)}
    report.row("resident MiB after the load above", loaded, "mib")
    for count, found in figures.items():
        report.row(f"resident MiB, {count:,} open streams", found, "mib")
    report.row("KiB for each further stream", each, "kib")


def large_bodies(bench, starters, report):
    with contextlib.ExitStack() as stack:
        pace = Driven(stack, str(bench.examples / "pace"))
        found = {}
        for name, start in starters.items():
            server, port = start(stack, pace)
            pace.order(bodies={"port": port, **BODIES})
            found[name] = {"mib": server.peak_mib() or server.resident_mib()}
        count, size = BODIES["count"], BODIES["bytes"] // 1_000_000
        report.row(f"peak MiB, {count} requests of {size} MB at once", found, "mib")


def starts(bench, config):
    """Medians in milliseconds from the start to `listening` and to the end of a first answer."""
    listening, answered, idle = [], [], []
    state = bench.folder / "starts"
    for _ in range(STARTS):
        with contextlib.ExitStack() as stack:
            command = servers.proxy_command(bench.program, config, 0, state)
            server = Server(stack, command, cwd=config.parent, stdout=subprocess.PIPE, text=True)
            lines = stack.enter_context(server.process.stdout)
            line = next(line for line in lines if line.startswith("listening on "))
            listening.append((time.perf_counter() - server.began) * 1000)
            servers.call(int(line.rsplit(":", 1)[1]), REQUEST)
            answered.append((time.perf_counter() - server.began) * 1000)
            idle.append(server.resident_mib())
    return [statistics.median(column) for column in (listening, answered, idle)]


class Report:
    """The table: one column for each target, and the proxy as a multiple of nginx."""

    def __init__(self, names):
        self.names = names
        heads = "".join(f"{name:>12}" for name in [*names, "to nginx"])
        self.lines = [f"{'':<46}{heads}"]

    def row(self, label, found, column, added=False):
        values = {name: seen[column] for name, seen in found.items()}
        self._line(label, values, ratio=not added)
        if added:
            floor = values.pop("direct")
            self._line("  added", {name: value - floor for name, value in values.items()})

    def own(self, label, value):
        self._line(label, {"llm-proxy": value}, ratio=False)

    def _line(self, label, values, ratio=True):
        cells = "".join(self._cell(values.get(name)) for name in self.names)
        nginx, proxy = values.get("nginx"), values.get("llm-proxy")
        compared = f"{proxy / nginx:>11.2f}x" if ratio and nginx and proxy else ""
        self.lines.append(f"{label:<46}{cells}{compared}".rstrip())

    @staticmethod
    def _cell(value):
        return f"{'-' if value is None else f'{value:,.1f}':>12}"


def machine():
    model = platform.processor()
    with contextlib.suppress(FileNotFoundError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(": ")[1] for line in lines if "model name" in line), model)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} x {model}, load {load}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--binaries", type=pathlib.Path, default="target", help="cargo's folder")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME[=COMMAND]",
        help="another proxy beside: litellm, or a command with {port} and {base_url}",
    )
    return parser.parse_args()


def starters_of(given, bench):
    """How to start each proxy that is compared, before an upstream."""
    own = iter(range(1000))

    def proxy(stack, upstream):
        name = f"proxy-{next(own)}"
        providers = [servers.provider("bench", upstream.base_url)]
        config = servers.write_config(bench.folder, name, providers)
        return servers.start_proxy(stack, bench.program, config, bench.folder / name)

    starters = {}
    if nginx := servers.find("nginx", given.binaries / "bench" / "nginx"):
        starters["nginx"] = lambda stack, upstream: servers.start_nginx(
            stack, nginx, bench.folder, upstream.address
        )
    if haproxy := servers.find("haproxy"):
        starters["haproxy"] = lambda stack, upstream: servers.start_haproxy(
            stack, haproxy, bench.folder, upstream.address
        )
    for peer in given.peer:
        name, _, command = peer.partition("=")
        command = command or servers.LITELLM
        if not shutil.which(command.split()[0]):
            sys.exit(f"{name}: {command.split()[0]} is not installed")
        starters[name] = lambda stack, upstream, command=command: servers.start_peer(
            stack, command, bench.folder, upstream.base_url
        )
    starters["llm-proxy"] = proxy
    return starters


def main():
    given = arguments()
    rounds, seconds = (2, 1) if given.quick else (4, 2)
    release = (given.binaries / "release").resolve()
    began = time.monotonic()
    servers.allow_many_files()
    print(f"machine: {machine()}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(folder, str(release / "llm-proxy"), release / "examples", rounds, seconds)
        upstream = Driven(stack, str(bench.examples / "upstream"), "--count")
        upstream.order(script=[ANSWER])
        providers = [servers.provider("bench", upstream.base_url)]
        first = starts(bench, servers.write_config(folder, "config", providers))
        starters = starters_of(given, bench)
        report = Report(["direct", *starters])
        with contextlib.ExitStack() as running:
            targets = {"direct": (None, upstream.port)}
            targets |= {name: start(running, upstream) for name, start in starters.items()}
            for _, port in targets.values():
                servers.call(port, REQUEST)
            plain_loads(bench, targets, report)
            stream_bursts(bench, targets, upstream, report)
        chains(bench, upstream, report)
        paced(bench, starters, report)
        large_bodies(bench, starters, report)
    print(f"load: wrk -t 1 -c N -d {seconds}s, medians of {rounds} rounds taken in turns")
    print("proxy: llm-proxy serve --config FILE --state FOLDER > /dev/null, its memory on")
    print("nginx: bench/nginx.conf; haproxy: bench/haproxy.cfg")
    print(f"took: {time.monotonic() - began:.0f} s\n")
    print("\n".join(report.lines))
    listening, answered, idle = first
    print(f"\nstart to `listening`, median of {STARTS}      {listening:8.1f} ms")
    print(f"start to the end of a first answer     {answered:8.1f} ms")
    print(f"resident after one request             {idle:8.1f} MiB")
    print(f"size of the binary                     {os.path.getsize(bench.program) / 2**20:8.1f} MiB")


if __name__ == "__main__":
    main()
