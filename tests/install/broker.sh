# The broker, closed to everyone but the agent and Node-RED by the files of the package.
# shellcheck shell=bash

# A real Node-RED with the flow of the README, on the device's network, as its own user of the broker.
start_node_red() { # PASSWORD
    mkdir "$work/node-red"
    cat >"$work/node-red/settings.js" <<'END'
module.exports = {
    flowFile: 'flows.json', credentialSecret: false, httpAdminRoot: false, httpNodeRoot: false,
    telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false },
};
END
    flow_that_calls_an_api "$work/answers" >"$work/node-red/flows.json"
    jq --null-input --arg password "$1" '{broker: {user: "node-red", password: $password}}' \
        >"$work/node-red/flows_cred.json"
    ip netns exec "$device" node tests/servers/node_modules/node-red/red.js --userDir "$work/node-red" \
        --settings "$work/node-red/settings.js" >"$work/node-red/log" 2>&1 &
    node_red=$!
    eventually 40 grep 'Connected to broker' "$work/node-red/log"
}

# A client on the device without a password.
anybody() { inside runuser -u nobody -- "$@"; }

it 'leaves no password in the clear where the script fails'
inside sh -c 'mkdir /run/failing && printf "#!/bin/sh\nexit 1\n" >/run/failing/mosquitto_passwd && chmod 755 /run/failing/mosquitto_passwd'
never inside env PATH=/run/failing:/usr/sbin:/usr/bin:/sbin:/bin /usr/share/doc/oauth2mqtt/examples/mosquitto/set-up
never ls "$work/root/etc/mosquitto/oauth2mqtt.passwords.new"

it 'closes the broker with one script, and the agent connects with its password'
inside /usr/share/doc/oauth2mqtt/examples/mosquitto/set-up >/dev/null
cat >>"$work/root/etc/oauth2mqtt/config.toml" <<'END'

[mqtt]
url = "mqtt+unix:///run/oauth2mqtt-broker/mosquitto.sock"
username = "oauth2mqtt"
password_file = "mqtt.password"
END
inside systemctl restart oauth2mqtt
equal 'the owner of the socket' "$(inside stat --format '%U:%G %a' /run/oauth2mqtt-broker)" 'mosquitto:oauth2mqtt 2750'
never anybody ls /run/oauth2mqtt-broker
password=$(inside cat /etc/oauth2mqtt/node-red.password)
broker_login=(-u node-red -P "$password")
eventually 60 is_signed_in garden
contains "$(inside oauth2mqtt status)" garden

it 'lets a flow of a real Node-RED call an API, before and after a refresh'
start_node_red "$password"
eventually 30 eval "grep garden $work/answers"
eventually 60 eval "[ \"\$(jq --raw-output .token $work/answers | sort -u | wc -l)\" -ge 2 ]"
equal 'the answers of others' "$(grep --count --invert-match '"sub":"garden"' "$work/answers" || true)" 0

it 'lets Node-RED and root make requests'
inside mosquitto_rr "${broker_login[@]}" -V mqttv5 -t oauth2mqtt/bridge/request/status \
    -e oauth2mqtt/bridge/response/status -m '{"account":"garden"}' -W 10 | jq --exit-status '.status == "ok"' >/dev/null
eventually 30 inside oauth2mqtt refresh garden

it 'lets nobody else read a token, make a request, or find a password'
for topic in 'oauth2mqtt/+/token' '#'; do
    never anybody mosquitto_sub -V mqttv5 -t "$topic" -C 1 -W 2
    never anybody mosquitto_sub -V mqttv5 -u oauth2mqtt -P guessed -t "$topic" -C 1 -W 2
done
never anybody mosquitto_pub -V mqttv5 -q 1 -t oauth2mqtt/bridge/request/logout -m garden
for path in /etc/oauth2mqtt/mqtt.password /etc/oauth2mqtt/node-red.password /etc/mosquitto/oauth2mqtt.passwords \
    /run/credentials/oauth2mqtt.service/store.key "/proc/$(property MainPID)/environ"; do
    never anybody cat "$path"
    never anybody ls "$path/"
done
listening=$(ip netns exec "$device" ss --listening --tcp --numeric --no-header 'not src 127.0.0.1')
equal 'what listens to the network' "$listening" ''
finds_nothing --recursive Bearer "$work/root/var/lib/mosquitto"

it 'lets Node-RED write no token'
token=$(access_token garden)
inside mosquitto_pub "${broker_login[@]}" -V mqttv5 -q 1 -r -t oauth2mqtt/garden/token -m '{"access_token":"forged"}' \
    >/dev/null 2>&1 || true
never eval "access_token garden | grep forged"
