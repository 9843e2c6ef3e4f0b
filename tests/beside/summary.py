"""The report of a run, side by side, and the table of explained differences in docs/COMPATIBILITY.md."""

import pathlib

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "COMPATIBILITY.md"
BEGIN, END = "<!-- beside-kafka: begin -->\n", "<!-- beside-kafka: end -->\n"


def report(kafka, chronik, found):
    """Each operation: equal, or what differs."""
    ours = {step.name: step for step in chronik}
    lines = []
    for step in kafka:
        here = [one for one in found if one.operation == step.name]
        lines.append(f"{step.name} | {step.request}: {'differs' if here else 'equal'}")
        for one in here:
            lines += [f"    {one.field}", f"        Kafka    {one.kafka}", f"        Chronik  {one.chronik}",
                      f"        {'because ' + one.reason if one.reason else 'NOT EXPLAINED'}"]
        for who, texts in (("Kafka", step.texts), ("Chronik", ours[step.name].texts if step.name in ours else [])):
            lines += [f"    {who + ':':8} {text}" for text in texts]
    return "\n".join(lines) + "\n"


def _places(where):
    return "; ".join(f"{operation}: " + ", ".join(f"`{field}`" for field in fields)
                     for operation, fields in where.items())


def table(known):
    """A row for each reason."""
    by_reason = {}
    for one in known:
        by_reason.setdefault(one.reason, {}).setdefault(one.operation, []).append(one.field)
    rows = [f"| {reason} | {_places(where)} |" for reason, where in by_reason.items()]
    return "\n".join(["| why | operation: field or struct of the answer |", "|---|---|", *rows]) + "\n"


def parts_of_document():
    """What stands before the table, the table, and what follows it."""
    head, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN, 1)
    now, tail = rest.split(END, 1)
    return head, now, tail


def update_document(known):
    head, _, tail = parts_of_document()
    DOCUMENT.write_text(f"{head}{BEGIN}\n{table(known)}\n{END}{tail}", encoding="utf-8")
