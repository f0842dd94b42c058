#!/usr/bin/env python3
"""What deny.toml says of bans, licences and sources, for machines without cargo-deny.

cargo-deny takes minutes to build; this reads the same file and what cargo says of the same
dependencies, those of normal and build use. Advisories need a database from the network.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def metadata(targets):
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--all-features"]
    for target in targets:
        command += ["--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def shipped(found):
    """The ids of all that is reached without dev-dependencies."""
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    todo, seen = list(found["workspace_members"]), set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        for dependency in nodes[at]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return seen


def is_allowed(expression, allowed):
    """Reads an SPDX expression; a slash is OR, as in crates of old."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        verdict = both()
        while words and words[0] == "OR":
            words.pop(0)
            verdict = both() or verdict
        return verdict

    def both():
        verdict = one()
        while words and words[0] == "AND":
            words.pop(0)
            verdict = one() and verdict
        return verdict

    def one():
        word = words.pop(0)
        if word == "(":
            verdict = either()
            words.pop(0)
            return verdict
        if words[:1] == ["WITH"]:
            word = f"{word} WITH {words[1]}"
            del words[:2]
        return word in allowed

    return either()


def is_named(package, spec):
    """Whether `name` or `name@1`, which is any version that begins so, names a package."""
    name, _, version = spec["crate"].partition("@")
    given = package["version"]
    return package["name"] == name and (not version or given == version or given.startswith(version + "."))


def faults(rules, packages):
    bans, licenses, sources = rules["bans"], rules["licenses"], rules["sources"]
    versions = defaultdict(list)
    for package in packages:
        who = f"{package['name']} {package['version']}"
        if any(is_named(package, spec) for spec in bans["deny"]):
            yield f"{who} is banned"
        if not any(is_named(package, spec) for spec in bans["skip"]):
            versions[package["name"]].append(package["version"])
        own = package["source"] is None
        if not own:
            also = [it["allow"] for it in licenses["exceptions"] if is_named(package, it)]
            allowed = licenses["allow"] + sum(also, [])
            if not is_allowed(package["license"] or "none", allowed):
                yield f"{who} has the licence {package['license']}"
            if sources["unknown-registry"] == "deny" and package["source"] != REGISTRY:
                yield f"{who} comes from {package['source']}"
        for dependency in package["dependencies"] if own else []:
            if bans["wildcards"] == "deny" and dependency["req"] == "*" and not dependency.get("path"):
                yield f"{who} takes any version of {dependency['name']}"
    for name, found in versions.items():
        if bans["multiple-versions"] == "deny" and len(found) > 1:
            yield f"{name} comes in several versions: {', '.join(sorted(found))}"
    for spec in bans["skip"] + licenses["exceptions"]:
        if not any(is_named(package, spec) for package in packages):
            yield f"deny.toml has an exception for {spec['crate']}, which is not there"


with open("deny.toml", "rb") as file:
    rules = tomllib.load(file)
found = metadata(rules["graph"]["targets"])
reached = shipped(found)
packages = [package for package in found["packages"] if package["id"] in reached]
wrong = sorted(faults(rules, packages))
for fault in wrong:
    print(f"deny.toml: {fault}")
print(f"{len(packages)} packages against deny.toml")
sys.exit(bool(wrong))
