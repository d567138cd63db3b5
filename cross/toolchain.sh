# The toolchain for other devices: functions for the scripts beside it, which run in the checkout's top folder.
#
# There are two ways to the standard library of a foreign target. Where Debian has it in source, with the compiler that it
# belongs to, it is built for size; elsewhere rustup fetches it. Zig is the C compiler and the linker on both ways: it has
# the start files and the C library for each device, while Debian's ARM compiler links start files for ARMv7.
# shellcheck shell=bash

. cross/debian.sh

export CARGO_TARGET_DIR=$PWD/target/cross
tools=$CARGO_TARGET_DIR/tools

# Versions that are known to work together; other ones would make other bytes. With Zig 0.17.1 the agent takes 31 MB of
# memory and with 0.15.2 it takes 4, so tests/install has to be asked before a newer one comes here.
required() { sed -n "s/^$1==\([^ ]*\).*/\1/p" cross/requirements.txt; }
zig_version=$(required ziglang)
zigbuild_version=$(required cargo-zigbuild)
deb_version=3.8.0

install_tools() {
    debian binutils python3-venv
    if ! cmp --silent cross/requirements.txt "$tools/requirements.txt"; then
        /usr/bin/python3 -m venv --clear "$tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement cross/requirements.txt
        cp cross/requirements.txt "$tools/"
    fi
    [ "$(cargo deb --version 2>/dev/null)" = "$deb_version" ] ||
        env -u CARGO_TARGET_DIR cargo install --locked --version "$deb_version" cargo-deb
}

rust_target() { # ARCHITECTURE, as Debian calls it
    case $1 in
    amd64) echo x86_64-unknown-linux-musl ;;
    arm64) echo aarch64-unknown-linux-musl ;;
    armhf) echo arm-unknown-linux-musleabihf ;;
    *)
        echo "there is no package for $1; there are amd64, arm64 and armhf" >&2
        return 1
        ;;
    esac
}

# Whether Debian has the source of the standard library, with the compiler that it belongs to.
has_source() { debian rustc-web rust-web-src; }

# The compiler's version, which is that of its standard library.
rust_version() { if has_source; then /usr/bin/rustc --version; else rustc --version; fi | cut -d ' ' -f 2; }

compile() { # TARGET
    local sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
    # No path of this machine in the binary.
    local flags="--remap-path-prefix=$PWD=. --remap-path-prefix=$sources=/cargo"
    local -x PATH=$tools/bin:$PATH XDG_CACHE_HOME=$CARGO_TARGET_DIR/cache
    if has_source; then
        local std
        std=$(readlink -f /usr/lib/rustlib/src/rust)
        # The C library is Zig's. An unstable feature is needed for the standard library, and for that alone; what it has for
        # backtraces is left out, since a program without symbols has none to show.
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            RUSTFLAGS="-C link-self-contained=no $flags --remap-path-prefix=$std=/rust" \
            cargo zigbuild --release --locked -Z build-std=std,panic_abort \
            -Z build-std-features=optimize_for_size --target "$1"
    else
        rustup target add "$1"
        RUSTFLAGS=$flags cargo zigbuild --release --locked --target "$1"
    fi
}
