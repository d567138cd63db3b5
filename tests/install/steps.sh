# What an administrator, a user and a flow do.
# shellcheck shell=bash

# How to call the program on the device, and the broker's clients.
oauth2mqtt=(oauth2mqtt)
broker_login=()

install_package() { # FILE
    cp "$1" "$work/root/root/"
    inside apt-get install --quiet --yes --allow-downgrades "/root/$(basename "$1")" >"$work/apt" 2>&1 ||
        fail "apt: $(tail -n 20 "$work/apt")"
}

# A package of the version before, with what is in this one.
older_package() { # FILE
    dpkg-deb --raw-extract "$1" "$work/older"
    sed -i 's/^Version: .*/Version: 0.0.9/' "$work/older/DEBIAN/control"
    dpkg-deb --build --root-owner-group "$work/older" "$work/older.deb" >/dev/null
    echo "$work/older.deb"
}

# The lines of an account in the configuration, and what goes into its file NAME.secret.
client_secret=post-secret-8Vq2mZ0xR5
account() { # NAME
    cat <<END

[accounts.$1]
issuer = "$issuer"
client_id = "device-post"
client_secret_file = "$1.secret"
scopes = ["openid", "email", "profile", "offline_access"]
allow_http = true
END
}

add_account() { # NAME
    account "$1" >>"$work/root/etc/oauth2mqtt/config.toml"
    # As the README says.
    inside install -m 640 /dev/null "/etc/oauth2mqtt/$1.secret"
    inside sh -c "echo '$client_secret' >/etc/oauth2mqtt/$1.secret"
    inside "${oauth2mqtt[@]}" check >/dev/null
}

# The newest retained message of a topic.
topic() { # NAME
    inside mosquitto_sub "${broker_login[@]}" -V mqttv5 -t "oauth2mqtt/$1" -C 1 -W 5
}

says() { # TOPIC CONDITION, in the language of jq
    topic "$1" | jq --exit-status "$2"
}

sign_in() { # ACCOUNT
    inside "${oauth2mqtt[@]}" login "$1" >"$work/login" 2>&1 &
    local login=$!
    eventually 20 says "$1/signin" .pending
    approve "$(topic "$1/signin" | jq --raw-output .user_code)" "$1"
    wait "$login"
    contains "$(cat "$work/login")" 'Signed in'
    rm "$work/login"
    eventually 10 is_signed_in "$1"
}

# There is a token, and the provider takes it.
is_signed_in() { # ACCOUNT
    local token
    token=$(topic "$1/token" | jq --raw-output --exit-status .access_token) &&
        ask_provider --header "Authorization: Bearer $token" /api/me
}

access_token() { topic "$1/token" | jq --raw-output .access_token; }

has_another_token() { # ACCOUNT FORMER
    local token
    token=$(topic "$1/token" | jq --raw-output --exit-status .access_token) && [ "$token" != "$2" ]
}

# A flow of Node-RED that calls the provider's protected address with the token of the account garden, each time there is another.
flow_that_calls_an_api() { # FILE for the answers
    jq --null-input --arg api "$issuer/api/me" --arg answers "$1" '[
        {id: "tab", type: "tab", label: "Calls an API with the published token"},
        {id: "broker", type: "mqtt-broker", broker: "127.0.0.1", port: "1883", protocolVersion: "5", autoConnect: true,
            cleansession: true, keepalive: "60"},
        {id: "in", z: "tab", type: "mqtt in", topic: "oauth2mqtt/garden/token", qos: "1", datatype: "auto-detect",
            broker: "broker", rap: true, rh: 0, inputs: 0, wires: [["call"]]},
        {id: "call", z: "tab", type: "http request", method: "GET", ret: "txt", url: $api, headers: [
            {keyType: "other", keyValue: "Authorization", valueType: "msg", valueValue: "payload.authorization"}
        ], wires: [["answers"]]},
        {id: "answers", z: "tab", type: "file", filename: $answers, filenameType: "str", appendNewline: true,
            overwriteFile: "false", wires: [[]]}
    ]'
}

# A property of the service.
property() { inside systemctl show --value --property="$1" oauth2mqtt; }

is_property() { [ "$(property "$1")" = "$2" ]; }

signal() { inside sh -c "kill -$1 $2"; }

status_contains() { [[ $(property StatusText) == *"$1"* ]]; }

journal() { inside journalctl --no-pager --quiet --output=cat --unit=oauth2mqtt; }

journal_contains() { [[ $(journal) == *"$1"* ]]; }

# The greatest memory that the agent has had, in kilobytes.
peak_memory() { inside sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(property MainPID)/status"; }

# Everything that a token or a secret could have been written into, without one.
keeps_its_secrets() {
    local secret
    {
        inside journalctl --no-pager --quiet
        inside systemctl --no-pager --full status oauth2mqtt 2>/dev/null
    } >"$work/written"
    holds_no_secret "$work/written"
}

# Nothing that the provider has given out is in what was written.
holds_no_secret() { # FILE
    ask_provider /test/secrets | jq --raw-output '.[][]' >"$work/secrets"
    [ -s "$work/secrets" ] || fail 'the provider has given out no secret'
    [ -s "$1" ] || fail 'nothing was written'
    finds_nothing --fixed-strings --file="$work/secrets" "$1"
}
