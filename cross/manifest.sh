# What Cargo.toml says of the program: functions, sourced in the checkout's top folder.
# shellcheck shell=bash

program_version() { sed -n '/^version = /{s/^version = "\(.*\)"/\1/p;q}' Cargo.toml; }
