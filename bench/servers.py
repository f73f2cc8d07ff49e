"""The processes that are measured, and the upstream behind them."""

import contextlib
import http.client
import json
import os
import pathlib
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
LITELLM = "litellm --config {config} --port {port} --host 127.0.0.1 --num_workers 1"


class Driven:
    """A process that obeys lines of JSON on stdin with lines of JSON on stdout."""

    def __init__(self, stack, *command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.base_url = self.process.stdout.readline().strip()
        self.address = self.base_url.removeprefix("http://").removesuffix("/v1")
        self.port = int(self.address.rpartition(":")[2])
        stack.callback(self.process.wait)
        stack.callback(self.process.stdin.close)

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended at {order}")
        return json.loads(line)


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
            self.process.wait(15)
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

    def peak_mib(self):
        """The most that was resident so far; `None` where the system does not tell."""
        with contextlib.suppress(FileNotFoundError, StopIteration):
            lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            return int(next(line for line in lines if "VmHWM" in line).split()[1]) / 1024
        return None

    def ps(self, column):
        command = ["ps", "-o", f"{column}=", "-p", str(self.process.pid)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def allow_many_files():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = most if most != resource.RLIM_INFINITY else 65_536
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, 65_536), most))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, seconds=5):
    for _ in range(seconds * 100):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    sys.exit(f"nobody listens on port {port}")


def call(port, request):
    """One request; returns when the whole answer is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(request), headers)
    answer = connection.getresponse()
    if answer.status != 200 or not answer.read():
        sys.exit(f"port {port} answered {answer.status}")
    connection.close()


def provider(name, base_url, **more):
    return {"name": name, "api_key": "bench", "model": "bench-model", "base_url": base_url, **more}


def write_config(folder, name, providers):
    config = folder / f"{name}.yaml"
    config.write_text(json.dumps({"providers": providers}))  # JSON is YAML
    return config


def proxy_command(program, config, port, state):
    options = ["--config", str(config), "--port", str(port), "--state", str(state)]
    return [program, "serve", *options, "--exit-with-parent"]


def start_proxy(stack, program, config, state):
    port = free_port()
    command = proxy_command(program, config, port, state)
    server = Server(stack, command, cwd=config.parent, stdout=subprocess.DEVNULL)
    wait_for(port)
    return server, port


def template(folder, name, port, address):
    text = (HERE / name).read_text(encoding="utf-8")
    config = folder / f"{port}-{name}"
    config.write_text(text.replace("@PORT@", str(port)).replace("@UPSTREAM@", address))
    return config


def start_nginx(stack, program, folder, address):
    port = free_port()
    config = template(folder, "nginx.conf", port, address)
    server = Server(stack, [program, "-p", str(folder), "-c", str(config), "-e", "stderr"])
    wait_for(port)
    return server, port


def start_haproxy(stack, program, folder, address):
    port = free_port()
    config = template(folder, "haproxy.cfg", port, address)
    server = Server(stack, [program, "-q", "-f", str(config)])
    wait_for(port)
    return server, port


def start_peer(stack, command, folder, base_url):
    """Another proxy: its command with {port}, {base_url} and {config}, a file for LiteLLM."""
    port = free_port()
    config = folder / f"{port}-litellm.yaml"
    model = {"model": "openai/bench-model", "api_base": base_url, "api_key": "bench"}
    entry = {"model_name": "default", "litellm_params": model}
    config.write_text(json.dumps({"model_list": [entry]}))
    filled = command.format(port=port, base_url=base_url, config=config)
    quiet = subprocess.DEVNULL
    server = Server(stack, shlex.split(filled), cwd=folder, stdout=quiet, stderr=quiet)
    wait_for(port, 60)
    return server, port


def find(name, *places):
    found = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    unpacked = (str(place) for place in places if place.exists())
    return found or next(unpacked, None)
