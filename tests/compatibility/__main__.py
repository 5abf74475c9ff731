"""Record what this version writes: `python -m tests.compatibility`. Run it for each release."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import message_sender
from tests.compatibility.scenarios import record_all

_FOLDER = Path(__file__).parent


def main() -> None:
    folder = _FOLDER / message_sender.__version__
    folder.mkdir(exist_ok=True)
    for schema in Path(message_sender.__file__).with_name("schemas").glob("*.json"):
        shutil.copyfile(schema, folder / schema.name)
    shutil.copyfile(_FOLDER / "attributes.json", folder / "attributes.json")
    samples = [
        json.dumps({"name": name, "scenario": scenario, "effects": effects})
        for name, (scenario, effects) in record_all().items()
    ]
    (folder / "samples.jsonl").write_text("".join(f"{sample}\n" for sample in samples))


if __name__ == "__main__":
    main()
