"""Checks a Grafana dashboard as far as that goes without Grafana, and prints its queries as
recording rules, so that Prometheus' own tool can check them."""

import json
import re
import sys

KINDS = {"row", "stat", "timeseries", "bargauge", "state-timeline"}
# What Grafana puts in the place of its own variables.
GRAFANAS = {"__rate_interval": "5m", "__range": "6h"}


def check(dashboard):
    assert dashboard["schemaVersion"] >= 36 and dashboard["id"] is None
    assert dashboard["uid"] and dashboard["title"]
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids)), "two panels with one id"
    taken = set()
    for panel in panels:
        assert panel["type"] in KINDS, panel["type"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        targets = panel.get("targets", [])
        assert bool(targets) == (panel["type"] != "row"), panel["title"]
        names = [target["refId"] for target in targets]
        assert len(names) == len(set(names)), panel["title"]
        for target in targets:
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]


def queries(dashboard):
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            used = set(re.findall(r"\$(\w+)", target["expr"]))
            assert used <= known | GRAFANAS.keys(), used
            yield re.sub(r"\$(\w+)", lambda name: GRAFANAS.get(name[1], ".*"), target["expr"])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        dashboard = json.load(file)
    check(dashboard)
    print("groups:\n  - name: dashboard\n    rules:")
    for number, query in enumerate(queries(dashboard)):
        print(f"      - record: query:{number}\n        expr: {json.dumps(query)}")


main()
