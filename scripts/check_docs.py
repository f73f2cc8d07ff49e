"""Checks the pages against the repository and the built program.

Relative links and their anchors exist; paths that are named exist; every `llm-proxy ...` is a command line that the
program takes; `make` targets and options of `install.sh` exist; every block of YAML that is a configuration is good.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote

PROXY = str(Path(sys.argv[1]).resolve())
PAGES = sorted([*Path(".").glob("*.md"), *Path("docs").rglob("*.md")])
# The keys that begin a configuration, and not the file of another program.
OURS = ("providers", "models", "server", "rotation", "state", "history")
OTHERS = ("name", "scrape_configs", "model_list", "model_id", "version", "services")
# What stands for a value on the pages, and one that is good.
STANDS_FOR = {"SHELL": "bash", "FORM": "json", "N": "8000", "L": "info", "text|json": "json"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
NAMED_PATH = re.compile(r"`((?:crates|tests|scripts|bench|docs|packaging|integrations|\.github)/[\w./-]+)`")
# Files that a reader makes, and how a message begins.
READERS = ("packaging/docker/config/config.yaml", "packaging/docker/.env")
MESSAGES = ("was", "did", "is")
OPERATORS = ("|", "&&", "||", ";", "&", ">", "<")

problems = []
counts = {"links": 0, "paths": 0, "commands": 0, "configurations": 0}


def wrong(page, text):
    problems.append(f"{page}: {text}")


def anchors(page):
    """The names that GitHub gives to a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    names, seen = set(), {}
    for heading in re.findall(r"^#+ +(.*?)\s*$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        repeated = seen.get(name, 0)
        seen[name] = repeated + 1
        names.add(f"{name}-{repeated}" if repeated else name)
    return names


def check_links(page, prose):
    for groups in LINK.findall(prose):
        target = groups[0] or groups[1]
        if re.match(r"[a-z]+:", target):
            continue
        counts["links"] += 1
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path) if path else page
        if not file.exists():
            wrong(page, f"link to {target}: there is no {file}")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            wrong(page, f"link to {target}: {file} has no such heading")


def check_paths(page, prose):
    for name in NAMED_PATH.findall(prose):
        counts["paths"] += 1
        if name in READERS:
            continue
        if not Path(name).exists() and not (page.parent / name).exists():
            wrong(page, f"{name} does not exist")


def commands(text):
    """The simple commands of a shell text, each as its words."""
    for line in text.replace("\\\n", " ").splitlines():
        words, command = re.findall(r"\"[^\"]*\"|'[^']*'|[^\s]+", line), []
        for word in [*words, ";"]:
            if word.startswith("#") or word in OPERATORS:
                if command:
                    yield command
                command = []
                if word.startswith("#"):
                    break
            else:
                command.append(word.strip("\"'"))


def check_program(page, arguments):
    """Reads the command line as the program would, and stops before anything is done."""
    if arguments[:1] and arguments[0] in MESSAGES:
        return
    counts["commands"] += 1
    arguments = [STANDS_FOR.get(word, word) for word in arguments if word != "..."]
    done = subprocess.run([PROXY, *arguments, "--help"], capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        reason = (done.stderr.strip() or "refused").splitlines()[0]
        wrong(page, f"llm-proxy {' '.join(arguments)}: {reason}")


def check_command(page, words):
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    while words and words[0] in ("exec", "env", "sudo"):
        words = words[1:]
    if not words:
        return
    if words[0].split("/")[-1] == "llm-proxy":
        check_program(page, words[1:])
    elif words[:2] == ["cargo", "run"]:
        check_program(page, words[words.index("--") + 1 :] if "--" in words else [])
    elif words[0] == "make":
        counts["commands"] += 1
        targets = re.findall(r"^([a-z-]+):", Path("Makefile").read_text(encoding="utf-8"), re.M)
        for target in words[1:]:
            if "=" not in target and not target.startswith("-") and target not in targets:
                wrong(page, f"make {target}: there is no such target")
    elif words[0] == "./install.sh":
        counts["commands"] += 1
        script = Path("install.sh").read_text(encoding="utf-8")
        for option in words[1:]:
            if option.startswith("-") and not re.search(re.escape(option) + r"\b", script):
                wrong(page, f"install.sh has no {option}")


def variables():
    """A key for every provider of the catalogue, so that none is skipped."""
    listed = json.loads(subprocess.check_output([PROXY, "providers", "--json"], text=True))["providers"]
    names = [provider["key_variables"][0] for provider in listed if provider["key_variables"]]
    return {name: f"a-key-for-{name}" for name in [*names, "LLM_PROXY_KEY", "GROQ_API_KEY_2"]}


def check_configuration(page, text, environment):
    first = re.search(r"^(\w+):", text, re.M)
    if not first or first.group(1) in OTHERS:
        return
    counts["configurations"] += 1
    if first.group(1) not in OURS:
        wrong(page, f"YAML that begins with {first.group(1)}: neither ours nor of a program that is known here")
        return
    if not re.search(r"^providers:", text, re.M):
        text += "\nproviders: [groq]\n"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        file.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [PROXY, "check", "--config", str(file)], capture_output=True, text=True, timeout=10, cwd=folder,
            env={"HOME": folder, "PATH": os.environ["PATH"], **environment},
        )
    if done.returncode != 0:
        wrong(page, f"a configuration is refused: {done.stderr.strip() or done.stdout.strip()}")
    # Every key is set here, so that those that a page does not name are told of.
    elif re.search(r"^[!✗](?! \w+ is set, but )", done.stdout, re.M):
        wrong(page, f"a configuration is doubtful: {done.stdout.strip()}")


def check(page, environment):
    text = page.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in ("sh", "bash", "console"):
            for words in commands(block):
                check_command(page, words)
        elif language in ("yaml", "yml"):
            check_configuration(page, block, environment)
    prose = FENCE.sub("", text)
    check_links(page, prose)
    check_paths(page, prose)
    for inline in re.findall(r"`((?:llm-proxy|make|\./install\.sh|cargo run)(?: [^`]+)?)`", prose):
        for words in commands(inline.replace("\n", " ")):
            check_command(page, words)


environment = variables()
for page in PAGES:
    check(page, environment)
for problem in problems:
    print(problem)
print("documents: " + ", ".join(f"{count} {what}" for what, count in counts.items()) + f", {len(problems)} wrong")
sys.exit(1 if problems else 0)
