"""The proxy under test and the simulated providers behind it, each as a process of its own."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

RELEASE = pathlib.Path(__file__).resolve().parents[3] / "target" / "release"
PROXY = os.environ.get("LLM_PROXY", str(RELEASE / "llm-proxy"))
UPSTREAM = os.environ.get("SIMULATED_UPSTREAM", str(RELEASE / "examples" / "upstream"))
PATIENCE = 10  # seconds for a start or a stop


class Simulated:
    """A simulated provider; see crates/simulated/examples/upstream.rs for what it takes."""

    def __init__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([UPSTREAM], stdin=pipe, stdout=pipe, text=True)
        self.base_url = self.process.stdout.readline().strip()

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def script(self, *replies):
        self.order(script=replies)
        return self

    def limit(self, requests_per_minute):
        self.order(requests_per_minute=requests_per_minute)
        return self

    @property
    def count(self):
        return self.order()["count"]

    @property
    def requests(self):
        return self.order()["requests"]

    def wait_for_cancellation(self, within=5):
        end = time.monotonic() + within
        while time.monotonic() < end:
            if self.order()["cancelled"]:
                return True
            time.sleep(0.01)
        return False

    def stop(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Proxy:
    """The built binary on a free port."""

    def __init__(self, folder, settings):
        config = folder / "config.yaml"
        config.write_text(json.dumps(settings))  # JSON is YAML
        command = [PROXY, "serve", "--config", str(config), "--port", "0", "--exit-with-parent"]
        self.process = subprocess.Popen(
            command + ["--state", str(folder / "state")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.environ["PATH"], "TZ": "UTC"},
        )
        self.address = None
        self.log = []
        self.errors = []
        self.told = threading.Event()
        self.readers = [
            threading.Thread(target=self.read, args=(self.process.stdout, self.log)),
            threading.Thread(target=self.read, args=(self.process.stderr, self.errors)),
        ]
        for reader in self.readers:
            reader.start()
        self.told.wait(PATIENCE)
        if not self.address:
            self.stop()
            raise AssertionError(f"the proxy did not start: {self.log} {self.errors}")

    def read(self, pipe, lines):
        with pipe:
            for line in pipe:
                lines.append(line.rstrip("\n"))
                if line.startswith("listening on "):
                    self.address = line.split()[-1]
                    self.told.set()
        self.told.set()

    @property
    def base_url(self):
        return f"{self.address}/v1"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            for reader in self.readers:
                reader.join()
