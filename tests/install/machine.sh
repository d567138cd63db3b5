# A device: a Debian with a real systemd in a container, with a network of its own whose cable can be pulled.
# shellcheck shell=bash

cache=$PWD/target/install
device=oauth2mqtt-device-$$
world=oauth2mqtt-world-$$
# TEST-NET-1 (RFC 5737), in networks that nobody else is in.
device_address=192.0.2.2
world_address=192.0.2.1

# Makes an empty device, and a network for it and for the provider.
start_world() { # RELEASE
    work=$(mktemp --directory "$cache/run.XXXXXX" 2>/dev/null || { mkdir -p "$cache" && mktemp --directory "$cache/run.XXXXXX"; })
    base_system "$1"
    mkdir "$work/upper" "$work/layer" "$work/root"
    mount -t overlay -o "lowerdir=$cache/$1,upperdir=$work/upper,workdir=$work/layer" overlay "$work/root"
    ip netns add "$device"
    ip netns add "$world"
    ip -n "$device" link add cable type veth peer name cable netns "$world"
    ip -n "$device" address add "$device_address/24" dev cable
    ip -n "$world" address add "$world_address/24" dev cable
    local name
    for name in "$device" "$world"; do
        ip -n "$name" link set lo up
        ip -n "$name" link set cable up
    done
}

# A Debian as it comes, made once.
base_system() { # RELEASE
    local packages=ca-certificates,curl,dbus,libpam-systemd,mosquitto,mosquitto-clients,systemd,systemd-sysv,unattended-upgrades
    [ "$(cat "$cache/$1/.whole" 2>/dev/null)" != $packages ] || return 0
    rm -rf "${cache:?}/$1"
    debootstrap --variant=minbase --include=$packages "$1" "$cache/$1" >"$work/debootstrap.log" ||
        fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")"
    # As Debian's installer and Raspberry Pi OS write it.
    echo '127.0.0.1 localhost' >"$cache/$1/etc/hosts"
    echo $packages >"$cache/$1/.whole"
}

# Starts the device; what follows is for the container.
power_on() {
    as_before=("$@")
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --boot --register=no --keep-unit --console=pipe \
        --directory="$work/root" --machine="$device" --network-namespace-path="/run/netns/$device" "$@" \
        </dev/null >>"$work/console" 2>&1 &
    container=$!
    eventually 60 is_up
}

# The device's process 1, as this machine numbers it.
first_process() {
    local children
    children=$(cat "/proc/$container/task/$container/children")
    [ -n "$children" ] && echo "${children%% *}"
}

# Runs a command on the device, as root.
inside() {
    nsenter --target "$(first_process)" --all -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

is_up() {
    local state
    state=$(inside systemctl is-system-running) || [ "$state" = degraded ]
}

# The container ends where a machine would start over.
reboot_device() {
    leave reboot
    power_on "${as_before[@]}"
}

power_off() { leave poweroff; }

leave() { # VERB
    # The way back ends before the answer can.
    inside systemctl "$1" 2>/dev/null || true
    wait "$container" || true
    container=
}

pull_cable() { ip -n "$world" link set cable down; }
plug_cable() { ip -n "$world" link set cable up; }

# What somebody wants to see when something went wrong.
report() {
    inside systemctl --no-pager --full status oauth2mqtt mosquitto 2>/dev/null || true
    inside journalctl --no-pager --lines=40 --unit=oauth2mqtt || true
    [ ! -e "$work/login" ] || cat "$work/login"
    [ ! -e "$work/kernel" ] || tail --lines=40 "$work/kernel"
}

# What a part has to clean up beside the device, before it.
clean_up_too() { :; }

clean_up() {
    trap - ERR
    set +e
    clean_up_too >/dev/null
    local pid
    for pid in ${node_red:-} ${provider:-} ${machine:-} ${web_server:-}; do
        kill "$pid"
        wait "$pid"
    done
    if [ -n "${container:-}" ]; then
        kill -KILL "$(first_process)"
        wait "$container"
    fi
    umount "$work/root"
    ip netns delete "$device"
    ip netns delete "$world"
    rm -rf "${work:?}"
} 2>/dev/null
