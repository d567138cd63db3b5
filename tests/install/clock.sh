# Boots with a wrong clock. A container has the clock of its host, so this boots the same system on a kernel of its own, which
# runs as a process (User Mode Linux).
# shellcheck shell=bash

start_provider 3600
power_on
install_package "$(package amd64)"
add_account garden
inside systemctl reload oauth2mqtt
sign_in garden
power_off
mkdir "$work/root/clock"

# systemd sets a clock that is behind its own release date. Without that, the test is harder.
cat >"$work/root/etc/systemd/system/wrong-clock.service" <<'END'
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'date --set=@$(cat /clock/wrong)'
END
cat >"$work/root/etc/systemd/system/look.service" <<'END'
[Unit]
After=oauth2mqtt.service
[Service]
Type=oneshot
ExecStart=/bin/sh /clock/look
ExecStopPost=/bin/systemctl --no-block poweroff
END
# The device's state before and after the network sets the clock.
cat >"$work/root/clock/look" <<'END'
cd /clock
exec 2>trouble
date +%s >boot-time
systemctl is-active oauth2mqtt >state
mosquitto_sub -V mqttv5 -t oauth2mqtt/garden/status -C 1 -W 30 >status-before
mosquitto_sub -V mqttv5 -t oauth2mqtt/garden/token -C 1 -W 30 >token-before
date --set="@$(cat now)" >/dev/null
for try in $(seq 60); do
    mosquitto_sub -V mqttv5 -t oauth2mqtt/garden/status -C 1 -W 5 >status-after
    ! grep --quiet '"state":"active"' status-after || break
    sleep 0.5
done
mosquitto_sub -V mqttv5 -t oauth2mqtt/garden/token -C 1 -W 5 >token-after
journalctl --no-pager --quiet --output=cat --unit=oauth2mqtt --boot >journal
END
for unit in wrong-clock.service:sysinit look.service:multi-user; do
    mkdir -p "$work/root/etc/systemd/system/${unit#*:}.target.wants"
    ln -s "../${unit%:*}" "$work/root/etc/systemd/system/${unit#*:}.target.wants/"
done
found() { cat "$work/root/clock/$1"; }

boot_with_clock_at() { # UNIX TIME
    rm --force "$work/root/clock/journal"
    echo "$1" >"$work/root/clock/wrong"
    date +%s >"$work/root/clock/now"
    TMPDIR=$work linux.uml root=/dev/root rootfstype=hostfs rootflags="$work/root" rw mem=256M con0=null,fd:1 con=null ssl=null \
        </dev/null >"$work/kernel" 2>&1 &
    machine=$!
    eventually 120 test -s "$work/root/clock/journal"
    wait "$machine" || true
    machine=
    # Files that were created on that kernel belong to the user who runs it.
    chown --recursive --reference="$work/root/var/lib/oauth2mqtt" "$work/root/var/lib/oauth2mqtt"
    local passed=$(($(found boot-time) - $1))
    [ "$passed" -ge 0 ] && [ "$passed" -lt 300 ] || fail "the clock said $(found boot-time)"
    equal 'the state' "$(found state)" active
    equal 'the token' "$(found token-before | jq .access_token)" null
    equal 'the user' "$(found status-before | jq .needs_user)" false
}

is_found_again() {
    equal 'the state' "$(found status-after | jq --raw-output .state)" active
    found token-after | jq --exit-status '.access_token != null' >/dev/null
    contains "$(found journal)" 'the clock was set'
}

it 'boots with the clock in 1970, and publishes no token whose expiry it cannot tell'
boot_with_clock_at 60
it 'publishes the token as soon as the clock is right, without a request to the provider'
is_found_again

# By this time the token has 50 minutes left; but a clock that went on from where the power failed would say so too, and the
# machine's own clock, which has a battery, says something else.
it 'boots with a clock that nothing confirms, and publishes no token whose expiry it cannot tell'
boot_with_clock_at $(($(date +%s) + 600))
it 'publishes the token once the clock is set'
is_found_again

it 'is still signed in at the next boot'
rm "$work/root/etc/systemd/system/sysinit.target.wants/wrong-clock.service" \
    "$work/root/etc/systemd/system/multi-user.target.wants/look.service"
power_on
eventually 20 is_signed_in garden
equal 'the approvals' "$(approvals)" 1
