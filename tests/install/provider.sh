# The provider of tests/servers, in a network of its own, and the user who approves.
# shellcheck shell=bash

issuer=http://$world_address:9000

start_provider() { # SECONDS that an access token lives
    ip netns exec "$world" node tests/servers/oidc.mjs \
        "{\"host\":\"$world_address\",\"port\":9000,\"access_token_ttl\":$1}" >"$work/provider" 2>&1 &
    provider=$!
    eventually 20 grep issuer "$work/provider"
}

ask_provider() { # CURL'S ARGUMENTS..., with a path in the place of the address
    ip netns exec "$world" curl --silent --show-error --fail "${@:1:$#-1}" "$issuer${!#}"
}

approve() { # CODE USER
    ask_provider --request POST "/test/approve?user_code=$1&login=$2" >/dev/null
}

# How often a user has approved, and how often a token was refreshed.
approvals() { granted device_code; }
refreshes() { granted refresh_token; }
granted() {
    ask_provider /test/log | jq --arg grant "$1" '[.[] | select(.grant_type == $grant and .access_token)] | length'
}

# A refresh token that was used twice is one that a device lost, or has shared with another.
reused_tokens() {
    ask_provider /test/log | jq '[.[] | select(.grant_type == "refresh_token" and .error)] | length'
}
