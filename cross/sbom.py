"""Prints the bill of materials; cross/sbom runs it and says what is in it."""

import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def purl(kind, name, version, qualifiers=None):
    return PackageURL(kind, "debian" if kind == "deb" else None, name, version, qualifiers)


def library(name, version, licence, package, checksum=None):
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=package.to_string(),
        purl=package,
        licenses=[LicenseExpression(licence)] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def main():
    targets = [f"--filter-platform={target}" for target in sys.argv[1:]]
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--locked", "--format-version=1", *targets]))
    packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
    names = {package["id"]: key for key, package in packages.items()}
    depends = {
        names[node["id"]]: [names[dep["pkg"]] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    with open("Cargo.lock", "rb") as file:
        checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in tomllib.load(file)["package"]}

    root = packages[names[metadata["resolve"]["root"]]]
    program = Component(
        type=ComponentType.APPLICATION,
        name=root["name"],
        version=root["version"],
        description=root["description"],
        bom_ref=purl("cargo", root["name"], root["version"]).to_string(),
        purl=purl("cargo", root["name"], root["version"]),
        licenses=[LicenseExpression(root["license"])],
        properties=[Property(name="commit", value=os.environ["COMMIT"])],
    )
    components = {(root["name"], root["version"]): program}
    for line in os.environ["LINKED"].splitlines():
        name, version = line.split()
        key = (name, version.removeprefix("v"))
        # Cargo takes what its registry has always called "MIT/Apache-2.0" for an alternative; SPDX has a word for it.
        licence = (packages[key]["license"] or "").replace("/", " OR ")
        components.setdefault(key, library(*key, licence, purl("cargo", *key), checksums[key]))

    rust = library("rust-std", os.environ["RUST"], "MIT OR Apache-2.0", purl("generic", "rust-std", os.environ["RUST"]))
    zig = {"zig": os.environ["ZIG"]}
    musl = library("musl", f"of zig {os.environ['ZIG']}", "MIT", purl("generic", "musl", None, zig))
    authorities = library("ca-certificates", os.environ["AUTHORITIES"], "MPL-2.0", purl("deb", "ca-certificates", os.environ["AUTHORITIES"]))

    bom = Bom(components=[*(part for part in components.values() if part is not program), rust, musl, authorities])
    bom.metadata.component = program
    bom.metadata.supplier = OrganizationalEntity(name="The oauth2mqtt contributors")
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    # One number for one commit, so that two runs print the same.
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{program.bom_ref}#{os.environ['COMMIT']}")
    for key, part in components.items():
        bom.register_dependency(part, [components[other] for other in depends[key] if other in components])
    bom.register_dependency(program, [rust, musl, authorities])

    text = JsonV1Dot6(bom).output_as_string(indent=2)
    faults = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if faults:
        sys.exit(f"the bill of materials is not as its schema says: {faults}")
    print(text)


main()
