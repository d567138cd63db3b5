# The life of an installation, on one device from its first day to its last.
# shellcheck shell=bash

package=$(package amd64)

# The board's serial number, as the kernel of a Raspberry Pi shows it. A copied card has the same machine ID on another board.
board() { # SERIAL NUMBER
    mkdir -p "$work/board-$1/devicetree/base"
    printf '%s\0' "$1" >"$work/board-$1/devicetree/base/serial-number"
    echo "--bind-ro=$work/board-$1:/sys/firmware"
}
start_on() { power_on "$(board "$1")"; }

# Every file that a package or a service could leave behind, except logs, caches and the package manager's own.
files() {
    inside find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root \
        -o -path /var/log -o -path /var/cache -o -path /var/tmp -o -path /var/lib/dpkg -o -path /var/lib/apt \
        -o -path /var/lib/mosquitto -o -path /var/lib/systemd/timers \) -prune -o -print | sort
}

start_provider 40
start_on 10000000aaaaaaaa
files >"$work/files-before"

it 'is enabled and runs after installation, and says that there is no account yet'
install_package "$(older_package "$package")"
equal 'the state' "$(property ActiveState)/$(property UnitFileState)" active/enabled
eventually 10 status_contains 'no account yet'
contains "$(inside systemctl --no-pager status oauth2mqtt 2>/dev/null)" 'no account yet; name one in /etc/oauth2mqtt/config.toml'
contains "$(inside oauth2mqtt status)" 'names no account'

it 'runs as a user of its own, who reads the settings while others do not'
equal 'the user' "$(inside stat -c %U "/proc/$(property MainPID)")" oauth2mqtt
equal 'the folder' "$(inside stat -c '%a %U %G' /etc/oauth2mqtt)" '2750 root oauth2mqtt'
equal 'the file' "$(inside stat -c '%a %U %G' /etc/oauth2mqtt/config.toml)" '640 root oauth2mqtt'
equal 'the key' "$(inside stat -c '%a %U %s' /etc/credstore/oauth2mqtt.store.key)" '600 root 32'
for path in /etc/oauth2mqtt/config.toml /var/lib/oauth2mqtt/sled /etc/credstore/oauth2mqtt.store.key; do
    never inside runuser -u nobody -- ls "$path"
done
never inside runuser -u oauth2mqtt -- cat /etc/credstore/oauth2mqtt.store.key

it 'has an exposure level of 1.1 or better in systemd-analyze security'
score=$(inside systemd-analyze security oauth2mqtt --no-pager | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\) .*/\1/p')
inside systemd-analyze security oauth2mqtt --threshold=11 >/dev/null

it 'adds an account on reload, and a user signs in'
add_account garden
inside systemctl reload oauth2mqtt
sign_in garden
eventually 10 status_contains 'garden: signed in'
[ ! -e "$work/root/var/lib/oauth2mqtt/key" ] || fail 'the agent has made a key although the unit passes one'
equal 'the approvals' "$(approvals)" 1

it 'refreshes by itself and on request'
token=$(access_token garden)
eventually 45 has_another_token garden "$token"
eventually 30 eval '[ "$(refreshes)" -ge 1 ]'
before=$(refreshes)
eventually 30 eval "inside oauth2mqtt refresh garden && [ \"\$(refreshes)\" -gt $before ]"

it 'keeps the sign-in through an upgrade, and restarts once'
starts=$(journal | grep -c 'INFO started')
settings=$(inside sha256sum /etc/oauth2mqtt/config.toml)
inside chmod 2770 /etc/oauth2mqtt
install_package "$package"
contains "$(inside dpkg-query --show oauth2mqtt)" "$(dpkg-deb --field "$package" Version)"
eventually 20 is_signed_in garden
equal 'the starts' "$(journal | grep -c 'INFO started')" $((starts + 1))
equal 'the configuration' "$(inside sha256sum /etc/oauth2mqtt/config.toml)" "$settings"
equal 'the folder' "$(inside stat -c '%a %U %G' /etc/oauth2mqtt)" '2770 root oauth2mqtt'
inside chmod 2750 /etc/oauth2mqtt
memory=$(peak_memory)
[ "$memory" -le 6144 ] || fail "the agent took $memory kB of memory to start"

it 'comes back after kill -9'
before=$(property MainPID)
signal KILL "$before"
eventually 30 eval "[ \"\$(property MainPID)\" != $before ] && is_property ActiveState active"
eventually 20 is_signed_in garden

it 'is restarted by the watchdog when it hangs'
inside mkdir /etc/systemd/system/oauth2mqtt.service.d
inside sh -c 'printf "[Service]\nWatchdogSec=3\n" >/etc/systemd/system/oauth2mqtt.service.d/watchdog.conf'
inside systemctl daemon-reload
inside systemctl restart oauth2mqtt
before=$(property MainPID)
# It survives twice the watchdog's time, so it does report that it is alive.
sleep 6
equal 'the process' "$(property MainPID)" "$before"
signal STOP "$before"
eventually 40 eval "[ \"\$(property MainPID)\" != $before ] && is_property ActiveState active"
journal_contains 'Watchdog timeout'
inside rm -r /etc/systemd/system/oauth2mqtt.service.d
inside systemctl daemon-reload
inside systemctl restart oauth2mqtt
eventually 20 is_signed_in garden

it 'is still signed in after a reboot'
reboot_device
eventually 20 is_signed_in garden

it 'keeps the running configuration when the new one has an error'
inside cp -a /etc/oauth2mqtt/config.toml /etc/oauth2mqtt/good.toml
inside sh -c 'printf "\n[accounts.garden2]\nisuer = \"https://example.com\"\n" >>/etc/oauth2mqtt/config.toml'
inside systemctl reload oauth2mqtt
eventually 10 journal_contains 'the new configuration is not used'
equal 'the state' "$(property ActiveState)" active
is_signed_in garden >/dev/null

it 'says what is wrong and stays stopped when it starts with an error in the configuration'
never inside systemctl restart oauth2mqtt
equal 'the state' "$(property ActiveState)/$(property SubState) $(property ExecMainStatus)" 'failed/failed 78'
contains "$(inside systemctl --no-pager --full status oauth2mqtt 2>/dev/null || true)" 'accounts.garden2.isuer'
inside mv /etc/oauth2mqtt/good.toml /etc/oauth2mqtt/config.toml
inside systemctl start oauth2mqtt
eventually 20 is_signed_in garden

it 'waits for a broker that is not there'
inside systemctl stop mosquitto
inside systemctl restart oauth2mqtt
eventually 10 status_contains 'waiting for the broker'
equal 'the state' "$(property ActiveState)" active
inside systemctl start mosquitto
eventually 40 eval '! status_contains "waiting for the broker"'
eventually 10 is_signed_in garden

it 'starts without a network, delays no other service, and refreshes when there is one'
pull_cable
reboot_device
equal 'the state' "$(property ActiveState)" active
eventually 60 says garden/status '.state == "expired" and .error.code != null'
equal 'the user' "$(topic garden/status | jq .needs_user)" false
plug_cable
eventually 90 is_signed_in garden

it 'says so on a copy of the card in another device, and leaves the original alone'
power_off
before=$(refreshes)
start_on 10000000bbbbbbbb
eventually 20 says garden/status '.state == "signed_out" and .needs_user and .error.code == "cloned_device"'
eventually 10 status_contains cloned_device
journal_contains 'it was sealed on another device'
equal 'the refreshes' "$(refreshes)" "$before"
power_off
start_on 10000000aaaaaaaa
eventually 60 is_signed_in garden

it 'moves to another device when the administrator allows it'
printf '\n[store]\nbind_to_machine = false\n' >>"$work/root/etc/oauth2mqtt/config.toml"
inside systemctl restart oauth2mqtt
eventually 60 is_signed_in garden
power_off
start_on 10000000bbbbbbbb
eventually 60 is_signed_in garden
sed -i '/^\[store\]$/d; /^bind_to_machine/d' "$work/root/etc/oauth2mqtt/config.toml"
inside systemctl restart oauth2mqtt
eventually 60 is_signed_in garden
power_off
start_on 10000000aaaaaaaa
eventually 20 says garden/status '.error.code == "cloned_device"'
power_off
start_on 10000000bbbbbbbb
eventually 60 is_signed_in garden

it 'reads its key from an encrypted credential, as docs/credentials.md shows'
inside mkdir -p -m 700 /etc/credstore.encrypted
inside systemd-creds encrypt --with-key=host --name=store.key \
    /etc/credstore/oauth2mqtt.store.key /etc/credstore.encrypted/oauth2mqtt.store.key
inside mkdir /etc/systemd/system/oauth2mqtt.service.d
cat >"$work/root/etc/systemd/system/oauth2mqtt.service.d/override.conf" <<'END'
[Service]
LoadCredential=
LoadCredentialEncrypted=store.key:/etc/credstore.encrypted/oauth2mqtt.store.key
END
inside rm /etc/credstore/oauth2mqtt.store.key
inside systemctl daemon-reload
inside systemctl restart oauth2mqtt
eventually 20 eval '! status_contains "waiting for the broker"'
eventually 20 is_signed_in garden

. "$here/broker.sh"

it 'needed one approval, used no refresh token twice, and wrote no secret anywhere'
equal 'the approvals' "$(approvals)" 1
equal 'the refused refreshes' "$(reused_tokens)" 0
keeps_its_secrets

it 'keeps its state when it is removed, and uses it when it is installed again'
inside apt-get remove --quiet --yes oauth2mqtt >/dev/null 2>&1
never inside systemctl is-active oauth2mqtt
for path in /var/lib/oauth2mqtt/sled /etc/oauth2mqtt/config.toml /etc/credstore.encrypted/oauth2mqtt.store.key; do
    inside test -e "$path"
done
install_package "$package"
eventually 60 is_signed_in garden
equal 'the approvals' "$(approvals)" 1

it 'leaves nothing behind when it is purged'
inside rm -r /etc/systemd/system/oauth2mqtt.service.d /var/lib/systemd/credential.secret
inside apt-get purge --quiet --yes oauth2mqtt >/dev/null 2>&1
# The files that closed the broker are not the package's; they stay where the administrator's script put them.
closing=' /etc/(mosquitto/|systemd/system/mosquitto[.]service[.]d|tmpfiles[.]d/oauth2mqtt-broker[.]conf)'
equal 'what is left or gone' "$(files | diff "$work/files-before" - | grep '^[<>]' | grep -vE "$closing" || true)" ''
never inside getent passwd oauth2mqtt
never inside getent group oauth2mqtt
failed=$(inside systemctl --failed --no-legend --plain)
equal 'the failed units' "$failed" ''

printf '   systemd-analyze security: %s; peak memory at start: %s kB\n' "$score" "$memory"
