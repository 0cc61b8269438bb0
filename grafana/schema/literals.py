"""Dashboards as TypeScript literals, each part with the type that it must have.

The dashboard's own type leaves a panel's options, its custom field configuration and its queries
open: they are written once more with theirs. Only a fresh literal is checked for unknown keys.
"""

import json
import pathlib
import sys


def literal(name, kind, value):
    print(f"export const {name}: {kind} = {json.dumps(value, ensure_ascii=False)};")


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield from panel["panels"] if panel["type"] == "row" else [panel]


print("import type { Custom, Dashboard, Options, Query } from './plain';")
for path in map(pathlib.Path, sys.argv[1:]):
    dashboard = json.loads(path.read_text())
    literal(path.stem, "Dashboard", dashboard)
    for panel in panels(dashboard):
        kind, name = panel["type"], f"{path.stem}_{panel['id']}"
        literal(f"{name}_options", f"Options['{kind}']", panel["options"])
        custom = panel["fieldConfig"]["defaults"].get("custom")
        if custom is not None:
            literal(f"{name}_custom", f"Custom['{kind}']", custom)
        for number, target in enumerate(panel["targets"]):
            literal(f"{name}_query_{number}", "Query", target)
