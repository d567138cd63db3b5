#!/bin/sh
# Installs oauth2mqtt on Debian, Raspberry Pi OS and their relatives, from the project's own apt repository:
#
#     curl --proto '=https' -fsSL @URL@/install.sh | sh
#     curl --proto '=https' -fsSL @URL@/install.sh | sh -s -- --dry-run          says what it would do, and does nothing
#
# It does the same as the three lines for apt in the documentation: it downloads the repository's public keys and compares them
# with the hash below, adds the repository with these keys, and installs the package and mosquitto. It uses sudo. Running it
# again is harmless.
#
# Options: --dry-run, --no-broker (without mosquitto), --unattended-upgrades (let that package upgrade oauth2mqtt too).
set -eu

url=@URL@
keyring_sha256=@KEYRING_SHA256@

keyring=/usr/share/keyrings/oauth2mqtt-archive-keyring.gpg
list=/etc/apt/sources.list.d/oauth2mqtt.list
policy=/etc/apt/apt.conf.d/52oauth2mqtt

fail() {
    printf 'oauth2mqtt is not installed: %s\n' "$1" >&2
    exit 1
}

as_root() {
    printf '+ %s\n' "$*"
    if [ "$dry_run" = no ]; then
        $sudo "$@" || fail "this command failed: $*"
    fi
}

# Writes standard input to a file that root owns.
write() { # FILE
    printf '+ write %s:\n' "$1"
    content=$(cat)
    printf '    %s\n' "$content"
    if [ "$dry_run" = no ]; then
        printf '%s\n' "$content" | $sudo tee "$1" >/dev/null || fail "$1 cannot be written"
    fi
}

download() { # PATH FILE
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --output "$2" "$url/$1"
    elif command -v wget >/dev/null; then
        wget --quiet --output-document="$2" "$url/$1"
    else
        fail 'there is neither curl nor wget'
    fi || fail "$url/$1 cannot be downloaded"
}

main() {
    dry_run=no
    recommends=
    unattended=no
    for option in "$@"; do
        case $option in
        --dry-run) dry_run=yes ;;
        --no-broker) recommends=--no-install-recommends ;;
        --unattended-upgrades) unattended=yes ;;
        *) fail "there is no option $option; there are --dry-run, --no-broker and --unattended-upgrades" ;;
        esac
    done

    command -v apt-get >/dev/null || fail 'this is no system with apt. There is a container image as well'
    arch=$(dpkg --print-architecture)
    case $arch in
    amd64 | arm64 | armhf) ;;
    *) fail "there is no package for $arch; there are amd64, arm64 and armhf" ;;
    esac
    sudo=
    if [ "$(id -u)" != 0 ]; then
        sudo=sudo
        [ "$dry_run" = yes ] || command -v sudo >/dev/null || fail 'this needs root, and there is no sudo'
    fi

    printf 'This installs oauth2mqtt (%s) from %s.\n' "$arch" "$url"
    [ "$dry_run" = no ] || printf 'This is a dry run: nothing is changed.\n'
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    download oauth2mqtt-archive-keyring.gpg "$work/keyring"
    found=$(sha256sum "$work/keyring" | cut -d ' ' -f 1)
    [ "$found" = "$keyring_sha256" ] ||
        fail "the keys at $url do not match this script (SHA-256 $found in place of $keyring_sha256)"
    printf 'The keys match this script (SHA-256 %s).\n' "$found"

    as_root install -D -m 644 "$work/keyring" "$keyring"
    write "$list" <<LIST
deb [signed-by=$keyring] $url stable main
LIST
    if [ "$unattended" = yes ]; then
        write "$policy" <<'POLICY'
Unattended-Upgrade::Origins-Pattern { "origin=oauth2mqtt"; };
POLICY
    fi
    # On its own and with --error-on: otherwise apt only warns of a bad signature.
    as_root apt-get update --error-on=any -o Dir::Etc::SourceList="$list" -o Dir::Etc::SourceParts=- -o APT::Get::List-Cleanup=0
    # The other repositories, which have mosquitto.
    as_root apt-get update --quiet
    as_root apt-get install --yes $recommends oauth2mqtt oauth2mqtt-archive-keyring

    if [ "$dry_run" = no ]; then
        printf '\nInstalled: %s. Next: sudo oauth2mqtt add\n' "$(oauth2mqtt --version)"
    fi
}

# On the last line and in braces, so that a truncated download runs nothing.
{ main "$@"; }
