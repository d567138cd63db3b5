# The container image, in the composition of examples/compose, run by Podman.
# shellcheck shell=bash

compose_version=1.6.0
composition=$work/compose
. cross/manifest.sh
version=$(program_version)
image=registry.oauth2mqtt.invalid/oauth2mqtt
archive=target/image/oauth2mqtt_${version}_amd64.image.tar
cross/image amd64 >"$work/image"
# In KiB, of the agent and the process of its store together, after the first sign-in.
largest_memory=$((5 * 1024))

# Podman's files are below $work, and its limits are within what a container may set.
cat >"$work/storage.conf" <<END
[storage]
driver = "vfs"
graphroot = "$work/containers"
runroot = "$work/containers-run"
END
cat >"$work/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
static_dir = "$work/containers-static"
tmp_dir = "$work/containers-tmp"
volume_path = "$work/containers-volumes"
[network]
network_config_dir = "$work/containers-network"
END
export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf

# Runs a command in the network of the containers.
inside() {
    case $1 in
    podman) "$@" ;;
    *) ip netns exec "$device" "$@" ;;
    esac
}
compose() {
    (cd "$composition" && "$cache/podman-compose/bin/podman-compose" --file compose.yaml --file here.yaml "$@") >>"$work/composed" 2>&1 </dev/null
}
agent=compose_oauth2mqtt_1
oauth2mqtt=(podman exec "$agent" oauth2mqtt)
agent_runs() { [ "$(podman inspect --format '{{.State.Running}}' "$agent")" = true ]; }
# grep reads to the end: at an early exit podman ends by SIGPIPE, and so does the pipeline.
agent_says() { podman logs "$agent" 2>&1 | grep --fixed-strings "$1" >/dev/null; }
agent_pid() { podman inspect --format '{{.State.Pid}}' "$agent"; }
is_healthy() { podman healthcheck run "$agent"; }

report() {
    tail --lines=20 "$work/composed"
    podman ps --all
    podman logs "$agent"
    podman logs compose_mosquitto_1
    [ ! -e "$work/login" ] || cat "$work/login"
} 2>&1

clean_up_too() {
    compose down --volumes --timeout 2
}

# Builds a substitute for an image of others, without a registry: the same program with the same paths.
stand_in() { # IMAGE PROGRAM
    local path working
    working=$(buildah from scratch)
    path=$(readlink -f "$(command -v "$2")")
    mkdir -p "$work/stand-in"
    # The program and its libraries, by their names.
    { echo "$path"; ldd "$path" | grep -o '/[^ ]*'; } | xargs cp --parents --dereference --target-directory "$work/stand-in"
    buildah copy --quiet "$working" "$work/stand-in" / >/dev/null
    rm -rf "$work/stand-in"
    buildah config --entrypoint "${@:3:1}" --cmd "" "$working"
    buildah commit --quiet --rm "$working" "$1" >/dev/null
}

if [ "$(cat "$cache/podman-compose/version" 2>/dev/null)" != $compose_version ]; then
    python3 -m venv --clear "$cache/podman-compose"
    "$cache/podman-compose/bin/pip" install --quiet --disable-pip-version-check "podman-compose==$compose_version"
    echo $compose_version >"$cache/podman-compose/version"
fi
podman load --quiet --input "$archive" >/dev/null
stand_in docker.io/library/eclipse-mosquitto:2.0 mosquitto '["mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]'
stand_in docker.io/nodered/node-red:4.1 node '["node", "/usr/src/node-red/node_modules/node-red/red.js", "--userDir", "/data"]'
start_provider 40

it 'has a small image with an unprivileged user and a health check'
size=$(skopeo inspect --raw "dir:target/image/index" | jq --raw-output '.manifests[] | select(.platform.architecture == "amd64").digest[7:]' |
    xargs -I '{}' jq '[.layers[].size] | add' 'target/image/index/{}.manifest.json')
[ "$size" -le 6000000 ] || fail "the image has $size bytes"
equal 'the user' "$(podman image inspect --format '{{.User}}' "$image:$version")" 65532:65532
contains "$(podman image inspect --format '{{.HealthCheck.Test}}' "$image:$version")" 'oauth2mqtt status --check'

it 'exits with an error that names the missing configuration'
said=$(podman run --rm --network none "$image:$version" 2>&1) && fail 'it runs without a configuration'
contains "$said" /etc/oauth2mqtt/config.toml

it 'starts with the example composition'
cp -r examples/compose "$composition"
head --bytes=16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/machine-id"
# The network and the Node-RED of this test.
sed -i "s|/etc/machine-id:/etc|$work/machine-id:/etc|" "$composition/compose.yaml"
cat >"$composition/here.yaml" <<END
services:
  mosquitto:
    network_mode: ns:/run/netns/$device
    ports: !reset []
  node-red:
    volumes:
      - $PWD/tests/servers/node_modules:/usr/src/node-red/node_modules:ro
END
settings=$composition/oauth2mqtt
sed -i '/^\[accounts/,$d' "$settings/config.toml"
account garden >>"$settings/config.toml"
echo "$client_secret" >"$settings/garden.secret"
# As the comment in compose.yaml says.
chown -R 65532:65532 "$settings"
chmod 700 "$settings"
compose up --detach
eventually 20 agent_runs
"${oauth2mqtt[@]}" check >/dev/null

it 'signs in with the code that a terminal shows'
sign_in garden
eventually 10 is_healthy
contains "$("${oauth2mqtt[@]}" status)" 'garden'

it 'runs with a read-only root, without capabilities, and in little memory'
equal 'the root' "$(podman inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$agent")" true
equal 'the capabilities' "$(awk '/^Cap(Prm|Eff|Bnd|Amb):/{print $2}' "/proc/$(agent_pid)/status" | sort --unique)" 0000000000000000
equal 'the limit of memory' "$(podman inspect --format '{{.HostConfig.Memory}}' "$agent")" $((16 * 1024 * 1024))
# Of all its processes.
memory=$(podman top "$agent" hpid | sed '1d; s|.*|/proc/&/smaps_rollup|' | xargs awk '/^Pss:/{sum += $2} END{print sum}')
[ "$memory" -le $largest_memory ] || fail "the agent takes $memory kB of memory"

it 'lets flows read tokens and make requests, and nothing else'
for topic in oauth2mqtt/garden/token oauth2mqtt/bridge/response/status sensors/1; do
    contains "$(inside mosquitto_pub -V mqttv5 -q 1 -t "$topic" -m forged 2>&1 || true)" 'Not authorized'
done
inside mosquitto_rr -V mqttv5 -t oauth2mqtt/bridge/request/status -e oauth2mqtt/bridge/response/status \
    -m '{"account":"garden"}' -W 10 | jq --exit-status '.status == "ok"' >/dev/null
listening=$(inside ss --listening --tcp --numeric --no-header | awk '{print $4}')
contains "$listening" 127.0.0.1:1883
equal 'what listens beyond the containers' "$(grep -v '^127.0.0.1:\|:1880$' <<<"$listening" || true)" ''

it 'lets a flow of Node-RED call an API, before and after a refresh'
eventually 60 inside curl --silent --fail http://127.0.0.1:1880/flows
flow_that_calls_an_api /data/answers >"$work/flow"
inside curl --silent --fail --header 'Content-Type: application/json' --data "@$work/flow" http://127.0.0.1:1880/flows
answers=$(podman volume inspect --format '{{.Mountpoint}}' compose_node-red)/answers
eventually 30 grep '"sub":"garden"' "$answers"
eventually 60 eval "[ \"\$(jq --raw-output .token $answers | sort -u | wc -l)\" -ge 2 ]"
equal 'the answers of others' "$(grep --count --invert-match '"sub":"garden"' "$answers" || true)" 0

it 'is still signed in after a restart, a crash, and a recreated container'
podman restart --time 60 "$agent" >/dev/null
eventually 20 is_signed_in garden
before=$(agent_pid)
kill -KILL "$before"
# Podman's restart policy may be slower than this test.
eventually 20 eval 'podman start "$agent" && agent_runs && [ "$(agent_pid)" != "$before" ]'
eventually 20 is_signed_in garden
compose up --detach --force-recreate
eventually 20 is_signed_in garden
equal 'the approvals' "$(approvals)" 1

it 'is still signed in after an upgrade'
working=$(buildah from "$image:$version")
buildah config --label org.opencontainers.image.version=9.0.0 "$working"
buildah commit --quiet --rm "$working" "$image:9.0.0" >/dev/null
sed -i "s|$image:$version|$image:9.0.0|" "$composition/compose.yaml"
compose up --detach
equal 'the image' "$(podman inspect --format '{{.ImageName}}' "$agent")" "$image:9.0.0"
eventually 20 is_signed_in garden

it 'adds an account while it runs'
account shed >>"$settings/config.toml"
echo "$client_secret" >"$settings/shed.secret"
chown 65532:65532 "$settings/shed.secret"
"${oauth2mqtt[@]}" reload >/dev/null
eventually 10 says shed/status '.state == "signed_out"'

it 'reports a volume on another machine, and does not use its refresh tokens'
cp "$work/machine-id" "$work/this-machine"
new_machine() {
    head --bytes=16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/machine-id"
    compose up --detach --force-recreate
}
compose down --timeout 60
before=$(refreshes)
new_machine
eventually 20 says garden/status '.error.code == "cloned_device"'
agent_says 'it was sealed on another device'
equal 'the refreshes' "$(refreshes)" "$before"
cp "$work/this-machine" "$work/machine-id"
compose up --detach --force-recreate
eventually 60 is_signed_in garden

it 'moves to another machine by the steps in docs/install.md'
printf '\n[store]\nbind_to_machine = false\n' >>"$settings/config.toml"
podman restart --time 60 "$agent" >/dev/null
eventually 60 is_signed_in garden
new_machine
eventually 60 is_signed_in garden
sed -i '/^\[store\]$/d; /^bind_to_machine/d' "$settings/config.toml"
podman restart --time 60 "$agent" >/dev/null
eventually 60 is_signed_in garden

it 'needed one sign-in, used no refresh token twice, and logged no secret'
equal 'the approvals' "$(approvals)" 1
equal 'the refused refreshes' "$(reused_tokens)" 0
podman logs "$agent" >"$work/written" 2>&1
holds_no_secret "$work/written"

printf '   image: %s bytes; memory (PSS): %s kB\n' "$size" "$memory"
