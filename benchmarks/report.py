from __future__ import annotations
def write_report(results, output): pass
