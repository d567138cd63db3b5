# How one works here. `just` lists what there is; CONTRIBUTING.md explains it.

# List the recipes
default:
    @just --list --unsorted

# Format, lint, and run every test that needs Rust alone
check:
    cargo fmt --check
    cargo clippy --locked --lib --bins --examples --test '*' -- -D warnings
    cargo test --locked

# Run end-to-end tests, all or those whose names contain a text; installs the servers
test *filter:
    tests/run {{ filter }}

# Run power cuts, bad networks, wrong clocks and hostile input; --long for the long form
faults *args:
    tests/faults {{ args }}

# Run the coverage-guided fuzz targets, all or one, for 60 seconds each or as many as given
fuzz *args:
    fuzz/run {{ args }}

# Write the tables that the program knows into the documentation
docs:
    OAUTH2MQTT_WRITE_DOCS=1 cargo test --locked --test docs

# See it at work, with everything that it needs on this machine; the first build takes some minutes. --lan for a phone
demo *args:
    cargo run --release --example demo -- {{ args }}

# Build the Debian packages, all or those named
packages *architectures:
    cross/build {{ architectures }}

# Everything that must pass before a change lands; takes hours
ci:
    .ci/run
