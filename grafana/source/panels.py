"""Panels and rows, as Grafana's JSON wants them.

A panel has a width and a height; frame.py places it: a row fills from the left and wraps.
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
