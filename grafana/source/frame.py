"""What surrounds the panels: places, variables, annotations, and the dashboard itself."""

from panels import COLUMNS, OURS, SOURCE

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
        "query": {"query": query, "refId": "StandardVariableQuery"},
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
