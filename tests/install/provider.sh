# The provider of tests/servers, in a network of its own, and the user who approves.
# shellcheck shell=bash

issuer=http://$world_address:9000

# The prefix that starts a program with the test's own clock, if there is one.
world_clock=()
set_world_clock() { # OFFSET from the true time, in the language of libfaketime
    # In one piece: it may be read at any moment.
    echo "$1" >"$work/world-clock.new"
    mv "$work/world-clock.new" "$work/world-clock"
    world_clock=(env "FAKETIME_TIMESTAMP_FILE=$work/world-clock" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
        tests/faketime)
}

start_provider() { # SECONDS that an access token lives
    ip netns exec "$world" "${world_clock[@]}" node tests/servers/oidc.mjs \
        "{\"host\":\"$world_address\",\"port\":9000,\"access_token_ttl\":$1,\"refresh_token_ttl\":2592000}" >"$work/provider" 2>&1 &
    provider=$!
    eventually 20 grep issuer "$work/provider"
}

ask_provider() { # CURL'S ARGUMENTS..., with a path in the place of the address
    ip netns exec "$world" curl --silent --show-error --fail "${@:1:$#-1}" "$issuer${!#}"
}

approve() { # CODE USER
    ask_provider --request POST "/test/approve?user_code=$1&login=$2" >/dev/null
}

# The number of approvals by a user, and of refreshes.
approvals() { granted device_code; }
refreshes() { granted refresh_token; }
granted() {
    ask_provider /test/log | jq --arg grant "$1" '[.[] | select(.grant_type == $grant and .access_token)] | length'
}

# A refresh token that was used twice was lost by a device, or shared with another.
reused_tokens() {
    ask_provider /test/log | jq '[.[] | select(.grant_type == "refresh_token" and .error)] | length'
}
