"""The dashboard and the alerts ask for metrics, labels and label values that the server really has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from metrics_sources import busy_server, page
from prometheus_client.parser import text_string_to_metric_families
from tools import find_tool

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
LEVELS = DEPLOY / "prometheus" / "service_levels.yml"
RULES = LEVELS.read_text()
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "rtmpd.json"

RECORDED = sorted(Path(__file__).with_name("recorded").glob("*.yml"))

SCRAPE_LABELS = {"job", "instance"}
_SAMPLE_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
_WORDS = {
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
}
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')

Selector = tuple[str, list[tuple[str, str, str]]]


def expressions() -> Iterator[str]:
    """Every PromQL expression and variable query that is shipped."""
    for rules in (LEVELS, ALERTS):
        for line, block in re.findall(
            r"^ +expr: (?:([^|\n].*)|\|\n((?: {10,}.*\n)+))", rules.read_text(), re.MULTILINE
        ):
            if not line.startswith("vector("):
                yield " ".join((line or block).split())
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def selectors(expression: str) -> Iterator[Selector]:
    """Metric names of an expression with their label matchers (name, operator, value)."""
    expression = re.sub(r"label_values\((.+), \w+\)", r"\1", expression)
    expression = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", expression)
    expression = re.sub(r"\[[^\]]*\]", " ", expression)
    for match in _SELECTOR.finditer(expression):
        name, labels = match.groups()
        is_function = expression[match.end() :].lstrip().startswith("(")
        if not is_function and name not in _WORDS:
            yield name, _MATCHER.findall(labels or "")


def exported() -> dict[str, dict[str, set[str]]]:
    """Values of each label of each sample name, over a page without and a page with overflow."""
    found: dict[str, dict[str, set[str]]] = {"up": {}}
    labelled = r"- record: (\S+)\n +expr: (?:.+\n(?: {10,}.*\n)*) +labels:\n +sli: (\w+)"
    for name, sli in re.findall(labelled, RULES):
        found.setdefault(name, {}).setdefault("sli", set()).add(sli)
    for name in re.findall(r"- record: (rtmpd:sli_errors:\w+)", RULES):
        found[name] = found["rtmpd:sli_bad:total"]
    for max_streams in (10, 0):
        for family in text_string_to_metric_families(page(busy_server().metrics(max_streams))):
            for suffix in _SAMPLE_SUFFIXES.get(family.type, ("",)):
                found.setdefault(family.name + suffix, {})
            for sample in family.samples:
                for label, value in sample.labels.items():
                    found[sample.name].setdefault(label, set()).add(value)
    return found


def test_the_reader_of_expressions_sees_what_it_must() -> None:
    expression = (
        'histogram_quantile(0.9, sum by (le) (rate(a_bucket{x=~"$y",z="1"}[5m]))) > 1 and on (q) b_total'
    )
    assert list(selectors(expression)) == [
        ("a_bucket", [("x", "=~", "$y"), ("z", "=", "1")]),
        ("b_total", []),
    ]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_uses_only_what_is_exported(expression: str) -> None:
    known = exported()
    used = list(selectors(expression))
    assert used
    for name, matchers in used:
        assert name in known, f"no such metric: {name}"
        for label, operator, value in matchers:
            if label in SCRAPE_LABELS:
                continue
            assert label in known[name], f"{name} has no label {label}"
            if "$" not in value and operator in {"=", "=~"}:
                pattern = re.escape(value) if operator == "=" else value
                assert any(re.fullmatch(pattern, seen) for seen in known[name][label]), f"{name}: {value}"


def test_every_service_level_has_an_objective_and_both_kinds_of_events() -> None:
    known = exported()
    levels = {"publish", "join", "join_time", "continuity", "hls"}
    for name in ("rtmpd:slo_objective", "rtmpd:slo_least_bad", "rtmpd:sli_bad:total", "rtmpd:sli_all:total"):
        assert known[name]["sli"] == levels, name


def test_panels_have_a_title_a_place_and_an_id_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert all(panel["title"] for panel in panels)
    for what in ("id", "gridPos"):
        values = [json.dumps(panel[what]) for panel in panels]
        assert len(set(values)) == len(values)


def test_the_dashboard_uses_the_data_source_that_is_provisioned() -> None:
    provisioned = (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    (uid,) = re.findall(r"uid: (\w+)", provisioned)
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    assert variables[0]["current"]["value"] == uid


def test_every_alert_is_one_that_a_real_server_has_raised() -> None:
    raised = {
        name for path in RECORDED for name in re.findall(r'labels: .*alertname="(\w+)"', path.read_text())
    }
    assert raised == set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))


@pytest.mark.interop
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", str(LEVELS), str(ALERTS)],
        ["check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")],
        ["test", "rules", str(Path(__file__).with_name("alerts_test.yml"))],
        ["test", "rules", *map(str, RECORDED)],
    ],
    ids=["rules", "config", "test-rules", "recorded-rules"],
)
def test_promtool_accepts_the_configuration(arguments: list[str]) -> None:
    judged = subprocess.run(
        [find_tool("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
