# Assertions: functions for the scripts beside it.
# shellcheck shell=bash

# Prints the next test's name: a sentence that a user relies on.
it() {
    sentence=$*
    printf '   %s\n' "$sentence"
}

# Fails the test, with what is known about the device.
fail() {
    # A command inside another one has printed it already.
    [ ! -e "$work/failed" ] || exit 1
    touch "$work/failed"
    printf '\nFAILED: %s: %s\n' "${sentence:-}" "$*" >&2
    report >&2
    trap - ERR
    exit 1
}

give_up() {
    local line=${BASH_LINENO[0]} file=${BASH_SOURCE[1]}
    fail "$file:$line did not hold: $BASH_COMMAND"
}

# Waits until a command succeeds: eventually SECONDS COMMAND...
eventually() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -le "$deadline" ] || fail "waited in vain for: $*"
        sleep 0.2
    done
}

# Fails if a command succeeds, or is not there at all.
never() {
    local status=0
    "$@" >/dev/null 2>&1 || status=$?
    case $status in
    0) fail "this must not succeed: $*" ;;
    126 | 127) fail "this cannot be run: $*" ;;
    esac
}

# Fails unless grep can look everywhere it is told to, and finds nothing.
finds_nothing() { # GREP'S ARGUMENTS...
    local status=0
    grep --quiet "$@" || status=$?
    [ "$status" = 1 ] || fail "grep ended with $status and not 1: $*"
}

equal() { # WHAT FOUND EXPECTED
    [ "$2" = "$3" ] || fail "$1 is \"$2\" and not \"$3\""
}

contains() { # TEXT PART
    case $1 in
    *"$2"*) ;;
    *) fail "\"$2\" is not in: $1" ;;
    esac
}
