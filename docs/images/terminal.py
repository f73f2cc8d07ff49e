"""Records a command in a terminal of its own and draws it as an SVG that plays once:

    python3 docs/images/terminal.py docs/images/demo.svg target/release/llm-proxy demo --once

Lines appear when they really appeared. Without animation (or where a reader wishes for less motion) all are there.
"""

import html
import os
import pty
import re
import select
import sys
import time

COLUMNS, SIZE, LINE, LEFT, TOP = 104, 14, 19, 18, 52
WIDTH = LEFT * 2 + int(COLUMNS * SIZE * 0.602)
STYLE = """
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d6dbe2;white-space:pre}
.t{fill:#8b949e}.w{fill:#e3b341}.r{fill:#7ee787;font-weight:600}.p{fill:#79c0ff}
g.l{animation:show 1ms both}@keyframes show{from{opacity:0}to{opacity:1}}
@media (prefers-reduced-motion:reduce){g.l{animation:none}}
"""


def record(command):
    """The lines of a command with the seconds at which each was whole."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ["NO_COLOR"] = "1"
        os.execvp(command[0], command)
    began, rest, lines = time.monotonic(), b"", []
    while select.select([terminal], [], [], 60)[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the program ended
            break
        if not chunk:
            break
        *whole, rest = (rest + chunk).split(b"\n")
        at = time.monotonic() - began
        lines += [(at, line.decode(errors="replace").rstrip("\r")) for line in whole]
    if os.waitpid(process, 0)[1] != 0:
        sys.exit(f"{' '.join(command)} failed")
    return lines


def colour(text):
    if text.startswith(">>>"):
        return "r"
    if " - WARNING - " in text:
        return "w"
    return "t" if re.match(r"\d{4}-\d\d-\d\d ", text) else ""


def wrapped(text):
    """What a terminal of so many columns makes of a line."""
    return [text[at : at + COLUMNS] for at in range(0, len(text), COLUMNS)] or [""]


def drawn(title, lines):
    rows = [(0, "p", f"$ {title}")]
    rows += [(at, colour(text), part) for at, text in lines for part in wrapped(text)]
    height = TOP + LINE * len(rows) + 10
    body = "".join(
        f'<g class="l" style="animation-delay:{at:.2f}s"><text x="{LEFT}" y="{TOP + LINE * row}" class="{kind}">'
        f"{html.escape(text)}</text></g>\n"
        for row, (at, kind, text) in enumerate(rows)
        if text
    )
    dots = "".join(f'<circle cx="{22 + 18 * n}" cy="20" r="5.5" fill="{c}"/>' for n, c in enumerate(("#f85149", "#e3b341", "#3fb950")))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{html.escape(title)}"><title>{html.escape(title)}</title><style>{STYLE}</style>'
        f'<rect width="100%" height="100%" rx="10" fill="#0d1117"/>{dots}\n{body}</svg>\n'
    )


if __name__ == "__main__":
    target, *command = sys.argv[1:]
    title = " ".join([os.path.basename(command[0]), *command[1:]])
    with open(target, "w", encoding="utf-8") as file:
        file.write(drawn(title, record(command)))
