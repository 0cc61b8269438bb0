"""Expressions that the overview's rows share."""

from panels import OURS, RATE

JOB = f'{{job="errsift",{OURS}}}'
OF = f"{{{OURS}}}"
POSTS = f'{{job="errsift",method="POST",{OURS}}}'


def rate(name, of=OF, by=""):
    by = f" by ({by})" if by else ""
    return f"sum{by} (rate({name}{of}{RATE}))"


def quantile(q, histogram, of=OF, by=""):
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(histogram + '_bucket', of, by)})"


def quantiles(histogram, of=OF):
    return [(quantile(q, histogram, of), name) for q, name in
            [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")]]


def total(name, by=""):
    return f"sum{f' by ({by})' if by else ''} ({name}{OF})"
