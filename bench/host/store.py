# SPDX-License-Identifier: GPL-2.0
"""Results as files: CSV for spreadsheets, JSON for programs and for the record."""

import csv
import dataclasses
import json

from guest import Figure, Results


def as_json(results, comment=None):
    """The text of a JSON file; figures take one line each, so that records can be compared by diff."""
    lines = ',\n'.join('  ' + json.dumps({k: v for k, v in dataclasses.asdict(f).items() if v not in (None, '')})
                       for f in results.figures)
    head = {'comment': comment} if comment else {}
    head |= {'versions': results.versions, 'notes': results.notes}
    return json.dumps(head, indent=1)[:-2] + ',\n "figures": [\n' + lines + '\n ]\n}\n'


def from_json(path):
    """Results as they were written."""
    data = json.loads(path.read_text(encoding='utf-8'))
    return Results(data['versions'], [Figure(**f) for f in data['figures']], data['notes'])


def write_csv(results, path):
    """Every figure in a row."""
    with open(path, 'w', encoding='utf-8', newline='') as f:
        writer = csv.writer(f)
        writer.writerow(field.name for field in dataclasses.fields(Figure))
        writer.writerows(dataclasses.astuple(figure) for figure in results.figures)
