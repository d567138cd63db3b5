# Installation from a signed apt repository, by the lines of docs/install.md or by the installer.
# shellcheck shell=bash

package=$(package amd64)
version=$(dpkg-deb --field "$package" Version)
repository=http://$world_address:8000
served=$work/repository
export GNUPGHOME=$work/gnupg OAUTH2MQTT_REPOSITORY_URL=$repository OAUTH2MQTT_KEYS=$work/keys
# apt ignores lists that are not newer than the last ones, so each publication gets a later time.
epoch=$(($(date +%s) - 1000))

publish() { # PACKAGE...
    epoch=$((epoch + 10))
    SOURCE_DATE_EPOCH=$epoch cross/repository "$served" "$@"
    touch_lists
}

# The web server tells by the second of its last change whether a file is the one that a device has; two changes may be in one.
touch_lists() { find "$served/dists" -name '*Release*' -exec touch --date="@$epoch" {} +; }

new_key() { # NAME
    gpg --batch --quiet --passphrase '' --quick-generate-key "$1 <$1@oauth2mqtt.invalid>" ed25519 sign never
    gpg --batch --armor --export "$1" >"$work/$1.asc"
}

# The same package under another version.
package_as() { # VERSION
    rm -rf "$work/other"
    dpkg-deb --raw-extract "$package" "$work/other"
    sed -i "s/^Version: .*/Version: $1/" "$work/other/DEBIAN/control"
    dpkg-deb --build --root-owner-group "$work/other" "$work/oauth2mqtt_$1_amd64.deb" >/dev/null
    echo "$work/oauth2mqtt_$1_amd64.deb"
}

start_web_server() {
    mkdir -p "$work/nginx" "$served"
    cat >"$work/nginx/nginx.conf" <<END
daemon off;
pid $work/nginx/pid;
error_log stderr;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path $work/nginx/body; proxy_temp_path $work/nginx/proxy; fastcgi_temp_path $work/nginx/fastcgi;
    uwsgi_temp_path $work/nginx/uwsgi; scgi_temp_path $work/nginx/scgi;
    server { listen $world_address:8000; root $served; }
}
END
    # nginx reads as a user of its own.
    chmod 711 "$work"
    ip netns exec "$world" nginx -c "$work/nginx/nginx.conf" >"$work/nginx/log" 2>&1 &
    web_server=$!
    eventually 10 test -s "$work/nginx/pid"
}

# The shell lines of a section of the documentation, for this repository.
documented() { # HEADING
    sed -n "/^## $1\$/,/^## /p" docs/install.md | sed -n '/^```sh$/,/^```$/p' | sed '/^```/d' |
        sed "s|https://packages.oauth2mqtt.invalid|$repository|g; s/ --proto '=https'//; s/sudo //g"
}

installer() { inside sh -c "curl -fsSL $repository/install.sh | sh -s -- $*" 2>&1; }
installed() { inside dpkg-query --show --showformat '${Version}' "${1:-oauth2mqtt}"; }
update() { inside apt-get update --error-on=any; }
upgrade_unattended() {
    update >/dev/null
    inside unattended-upgrade --verbose >"$work/unattended" 2>&1 || fail "unattended-upgrade: $(tail -n 5 "$work/unattended")"
}

mkdir -m 700 "$GNUPGHOME"
mkdir "$OAUTH2MQTT_KEYS"
new_key first
new_key second
new_key stranger
cp "$work/first.asc" "$OAUTH2MQTT_KEYS"
start_web_server
publish "$(package_as 0.0.9)"
start_provider 40
power_on
# No other repository can be reached from here.
inside sh -c 'rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*'

it 'installs a running agent by the lines of the documentation'
documented 'Debian and Raspberry Pi OS' >"$work/root/root/lines"
contains "$(cat "$work/root/root/lines")" "$repository"
inside sh -eu /root/lines >"$work/apt" 2>&1 || fail "$(tail -n 5 "$work/apt")"
equal 'the version' "$(installed)" 0.0.9
equal 'the state' "$(property ActiveState)/$(property UnitFileState)" active/enabled
inside apt-get purge --yes --quiet oauth2mqtt oauth2mqtt-archive-keyring >/dev/null 2>&1
inside rm -f /etc/apt/sources.list.d/oauth2mqtt.list /usr/share/keyrings/oauth2mqtt-archive-keyring.gpg

it 'changes nothing in a dry run, and prints what it would do'
inside touch /root/before
said=$(installer --dry-run)
contains "$said" "deb [signed-by=/usr/share/keyrings/oauth2mqtt-archive-keyring.gpg] $repository stable main"
contains "$said" 'nothing is changed'
# One that did change shows that they would be found.
inside touch /etc/of-this-test
equal 'the files that it changed' \
    "$(inside find /etc /usr /var/lib -newer /root/before -type f -not -path '*/systemd/*')" /etc/of-this-test
inside rm /etc/of-this-test

it 'refuses keys that are not those of the installer'
mv "$served/oauth2mqtt-archive-keyring.gpg" "$work/keyring"
gpg --batch --export stranger >"$served/oauth2mqtt-archive-keyring.gpg"
said=$(installer) && fail 'it installs the keys of a stranger'
contains "$said" 'do not match this script'
never inside dpkg-query --show oauth2mqtt-archive-keyring
mv "$work/keyring" "$served/oauth2mqtt-archive-keyring.gpg"

it 'installs a running agent with one command, and a user signs in'
installer --unattended-upgrades >"$work/apt" || fail "$(tail -n 5 "$work/apt")"
contains "$(cat "$work/apt")" 'Installed: oauth2mqtt'
equal 'the version' "$(installed)" 0.0.9
add_account garden
inside systemctl reload oauth2mqtt
sign_in garden

it 'upgrades unattended, and keeps the sign-in'
publish "$package"
upgrade_unattended
equal 'the version' "$(installed)" "$version"
eventually 20 is_signed_in garden

it 'downgrades only with --allow-downgrades'
never inside apt-get install --yes oauth2mqtt=0.0.9
equal 'the version' "$(installed)" "$version"
inside apt-get install --simulate --yes --allow-downgrades oauth2mqtt=0.0.9 >/dev/null

it 'refuses a package that was tampered with'
publish "$(package_as 9.0.0)"
cp "$served/pool/main/o/oauth2mqtt/oauth2mqtt_9.0.0_amd64.deb" "$work/good.deb"
printf 'X' | dd of="$served/pool/main/o/oauth2mqtt/oauth2mqtt_9.0.0_amd64.deb" bs=1 seek=100000 conv=notrunc status=none
update >/dev/null
never inside apt-get install --yes oauth2mqtt
inside unattended-upgrade >/dev/null 2>&1 || true
equal 'the version' "$(installed)" "$version"
is_signed_in garden >/dev/null

it 'refuses lists that were tampered with or signed by a stranger'
cp -a "$served" "$work/kept"
epoch=$((epoch + 10))
later=$(LC_ALL=C date --utc --date="@$epoch" '+%a, %d %b %Y %H:%M:%S UTC')
sed -i "s/^Date: .*/Date: $later/" "$served/dists/stable/InRelease"
rm "$served/dists/stable/Release.gpg"
touch_lists
never update
sed -i "s/^Date: .*/Date: $later/" "$served/dists/stable/Release"
gpg --batch --yes --local-user stranger --clearsign --output "$served/dists/stable/InRelease" "$served/dists/stable/Release"
touch_lists
never update
rm -rf "$served"
mv "$work/kept" "$served"
update >/dev/null
cp "$work/good.deb" "$served/pool/main/o/oauth2mqtt/oauth2mqtt_9.0.0_amd64.deb"

it 'receives a new key as an upgrade, and keeps upgrading after the old one is gone'
inside cp /usr/share/keyrings/oauth2mqtt-archive-keyring.gpg /root/former-keyring
cp "$work/second.asc" "$OAUTH2MQTT_KEYS"
publish
former=$(installed oauth2mqtt-archive-keyring)
upgrade_unattended
[ "$(installed oauth2mqtt-archive-keyring)" != "$former" ] || fail 'the keys are the former ones'
equal 'the version' "$(installed)" 9.0.0
rm "$OAUTH2MQTT_KEYS/first.asc"
publish "$(package_as 9.0.1)"
upgrade_unattended
equal 'the version' "$(installed)" 9.0.1
eventually 20 is_signed_in garden

it 'refuses the new key on a device that missed the change, until the installer runs again'
inside cp /root/former-keyring /usr/share/keyrings/oauth2mqtt-archive-keyring.gpg
# Without its cache: apt does not verify unchanged lists again.
inside sh -c 'rm -rf /var/lib/apt/lists/*'
never update
installer >"$work/apt" || fail "$(tail -n 5 "$work/apt")"
update >/dev/null

it 'needed only one sign-in'
eventually 20 is_signed_in garden
equal 'the approvals' "$(approvals)" 1
equal 'the refused refreshes' "$(reused_tokens)" 0
