"""The table for people."""


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def one(value):
    """A median with its spread, or a plain number."""
    if isinstance(value, dict):
        return f"{number(value['median'])} ({number(value['min'])} to {number(value['max'])})"
    return number(value)


def text(table):
    machine = table["machine"]
    lines = [
        f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}; "
        f"medians of {table['runs']} runs of {table['seconds']} s (smallest to largest)",
        "",
        "| row | measured | target | met |",
        "|---|---|---|---|",
    ]
    for name, row in table["rows"].items():
        met = "yes" if row["met"] else "no"
        value = f"{one(row['value'])} {row['unit']}"
        lines.append(f"| {name}: {row['what']} | {value} | {row['target']} | {met} |")
    for name, row in table["rows"].items():
        kept = ("what", "value", "target", "met", "unit")
        more = [f"{key} {one(value)}" for key, value in row.items() if key not in kept]
        lines += ["", f"{name}: " + ", ".join(more)]
    return "\n".join(lines)
