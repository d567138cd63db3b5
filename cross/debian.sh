# Debian packages for the scripts that need them: functions, sourced in the checkout's top folder.
# shellcheck shell=bash

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs those of the Debian packages that are not there.
debian() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
    done
    if [ ${#missing[@]} != 0 ]; then
        as_root apt-get update --quiet
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
    fi
}

# Unpacks the packages of a program that is not installed, and puts it on the PATH: to install it would start a service.
unpacked() { # PROGRAM [PACKAGE ...], of its own name if there is none
    local root=$PWD/target/$1
    command -v "$1" >/dev/null && return
    [ $# = 1 ] || shift
    if [ ! -e "$root/.whole" ]; then
        rm -rf "$root"
        mkdir -p "$root"
        as_root apt-get update --quiet
        (cd "$root" && apt-get download --quiet "$@")
        local package
        for package in "$root"/*.deb; do dpkg-deb --extract "$package" "$root"; done
        touch "$root/.whole"
    fi
    PATH="$PATH:$root/usr/sbin:$root/usr/bin:$root/lib/systemd:$root/usr/lib/systemd"
}
