"""Prints name, version and licence of each crate that is linked into the library, then the texts of the licences:
licenses.py CARGO_TOML FEATURE"""

import json
import subprocess
import sys
from pathlib import Path

TEXTS = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")

manifest, feature = sys.argv[1:]
compiler = subprocess.check_output(["rustc", "-vV"], text=True)
host = next(line for line in compiler.splitlines() if line.startswith("host: ")).removeprefix("host: ")
options = ["--no-default-features", f"--features={feature}", f"--filter-platform={host}", f"--manifest-path={manifest}"]
metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version=1", "--locked", *options]))
packages = {package["id"]: package for package in metadata["packages"]}
uses = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}


def linked(start):
    """What it uses when it runs: not what builds or tests it, nor macros, which are the compiler's."""
    found, ahead = set(), [start]
    while ahead:
        one = ahead.pop()
        if one in found or any("proc-macro" in target["kind"] for target in packages[one]["targets"]):
            continue
        found.add(one)
        ahead += [use["pkg"] for use in uses[one] if any(kind["kind"] is None for kind in use["dep_kinds"])]
    return found - {start}


ours = next(id for id, package in packages.items() if Path(package["manifest_path"]) == Path(manifest).resolve())
crates = sorted((packages[id] for id in linked(ours)), key=lambda crate: (crate["name"], crate["version"]))
crates_of_text = {}
print("Crates that are linked into embedding_backfill.so:\n")
for crate in crates:
    name = f"{crate['name']} {crate['version']}"
    print(f"{name}: {crate['license'] or 'see below'}")
    for file in sorted(Path(crate["manifest_path"]).parent.iterdir()):
        if file.is_file() and file.name.upper().startswith(TEXTS):
            crates_of_text.setdefault(file.read_text(errors="replace").strip(), {})[name] = True
for text, names in crates_of_text.items():
    print(f"\n{'=' * 80}\n{', '.join(names)}\n{'=' * 80}\n\n{text}")
