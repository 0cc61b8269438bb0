"""Panels, rows and a dashboard, as Grafana's JSON wants them.

A panel is placed by its width alone: a row fills from the left and wraps at 24 columns.
"""

COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "prometheus"}
# What every panel about errsift selects by.
OURS = 'instance=~"$instance"'
RATE = "[$__rate_interval]"

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


def steps(*pairs, base=GREEN):
    """Thresholds: `steps((0.05, YELLOW), (0.25, RED))` is green below 0.05."""
    found = [{"color": base, "value": None}]
    return found + [{"color": color, "value": value} for value, color in pairs]


def queries(pairs, instant=False):
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": expr,
            "legendFormat": legend,
            "range": not instant,
            "instant": instant,
        }
        for number, (expr, legend) in enumerate(pairs)
    ]


def panel(kind, title, says, pairs, unit, width, height, thresholds, options, custom, **more):
    assert len(says) > 40, f"{title}: a description says what to do"
    defaults = {
        "unit": unit,
        "color": {"mode": more.get("color", "palette-classic")},
        "thresholds": {"mode": "absolute", "steps": thresholds or steps()},
        "mappings": more.get("mappings", []),
    }
    for key in ("min", "max", "decimals", "noValue"):
        if key in more:
            defaults[key] = more[key]
    if custom is not None:
        defaults["custom"] = custom
    return {
        "type": kind,
        "title": title,
        "description": says,
        "datasource": SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": queries(pairs, more.get("instant", False)),
        "fieldConfig": {"defaults": defaults, "overrides": more.get("overrides", [])},
        "options": options,
    }


def graph(title, says, pairs, unit="short", width=8, height=8, thresholds=None, **more):
    """Lines over time. `stack=True` adds them up; `legend=False` leaves the names to the tooltip."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if more.get("stack") else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if more.get("stack") else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if thresholds else "off"},
        "axisPlacement": "auto",
        "scaleDistribution": {"type": "log", "log": 10} if more.get("log") else {"type": "linear"},
    }
    options = {
        "legend": {
            "displayMode": "list",
            "placement": "bottom",
            "showLegend": more.get("legend", True),
            "calcs": [],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if not more.get("signed") and not more.get("log"):
        more.setdefault("min", 0)
    return panel(
        "timeseries", title, says, pairs, unit, width, height, thresholds, options, custom, **more
    )


def verdict(title, says, expr, unit, thresholds, width=3, **more):
    """One number with a colour that says whether it is well."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "textMode": "value",
        "wideLayout": True,
        "colorMode": "background",
        "graphMode": "area",
        "justifyMode": "center",
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    return panel(
        "stat", title, says, [(expr, title)], unit, width, 4, thresholds, options, None,
        color="thresholds", **more,
    )


def bars(title, says, pairs, unit, width, height, thresholds=None, **more):
    """The present value of each series as a bar, in the order of the queries."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "text",
        "namePlacement": "left",
        "showUnfilled": True,
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 10,
        "maxVizHeight": 24,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
    }
    return panel(
        "bargauge", title, says, pairs, unit, width, height, thresholds, options, None,
        color="thresholds", instant=True, min=0, **more,
    )


def row(title, *panels, collapsed=False):
    return {"title": title, "panels": list(panels), "collapsed": collapsed}


def placed(rows):
    """Numbers all panels and gives them their places; a collapsed row keeps its own."""
    found, y, number = [], 0, 0
    for entry in rows:
        number += 1
        head = {
            "type": "row",
            "id": number,
            "title": entry["title"],
            "collapsed": entry["collapsed"],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        found.append(head)
        y += 1
        x = high = 0
        for member in entry["panels"]:
            number += 1
            wide, tall = member["gridPos"]["w"], member["gridPos"]["h"]
            if x + wide > COLUMNS:
                x, y, high = 0, y + high, 0
            at = {"x": x, "y": y, "w": wide, "h": tall}
            member = {"id": number, **member, "gridPos": at}
            (head["panels"] if entry["collapsed"] else found).append(member)
            x, high = x + wide, max(high, tall)
        y += high
    return found


def variable(name, label, says, query, regex="", allow="multi"):
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": says,
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "regex": regex,
        "refresh": 2,
        "sort": 3,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


# The shard is a number in `errsift_shard`, not a label: it chooses among instances.
SHARDS = 'query_result(count_values by (instance) ("shard", errsift_shard))'
VARIABLES = [
    variable("shard", "shard", "journals", SHARDS, r'/shard="(\d+)"/'),
    variable(
        "instance", "instance", "processes that write these journals", SHARDS,
        r'/instance="([^"]+)".*shard="(?:$shard)"/',
    ),
]
WORKER = variable(
    "worker", "worker", "threads of a dataflow",
    'label_values(errsift_worker_busy_seconds_total{instance=~"$instance"}, worker)',
)


def annotation(name, color, expr, title, text, **more):
    target = {"refId": "Annotation", "datasource": SOURCE, "expr": expr, "interval": "5s"}
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": color,
        "target": target,
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": "instance",
        **more,
    }


STARTED = f'process_start_time_seconds{{job="errsift",{OURS}}}'
BUILD = "errsift_build_info"
ANNOTATIONS = [
    # The value is the time in milliseconds: one mark for each start, where it happened.
    annotation(
        "restarts", "orange", f"{STARTED} * 1000", "errsift started", "{{instance}}",
        useValueForTime=True,
    ),
    annotation(
        "deploys", "blue",
        f"min by (version, commit) ({STARTED} * on (instance) group_left (version, commit) {BUILD}) * 1000",
        "first start of {{version}}", "commit {{commit}}", useValueForTime=True,
    ),
    annotation(
        "Redis restarts", "purple", "redis_start_time_seconds * 1000", "Redis started",
        "{{instance}}", useValueForTime=True,
    ),
    annotation(
        "alerts", "red", 'ALERTS{alertstate="firing",alertname=~"Errsift.+"}', "{{alertname}}",
        "{{severity}}: docs/runbooks.md",
    ),
]


def dashboard(uid, title, says, variables, rows):
    return {
        "uid": uid,
        "title": title,
        "description": says,
        "tags": ["errsift"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
        "links": [
            {
                "type": "dashboards",
                "title": "errsift",
                "tags": ["errsift"],
                "icon": "external link",
                "tooltip": "the other dashboard, at the same time",
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
            }
        ],
        "templating": {"list": variables},
        "annotations": {"list": ANNOTATIONS},
        "panels": placed(rows),
    }
