# The package for another architecture: it installs and works under emulation of that processor.
# shellcheck shell=bash

package=$(package "$what")
case $what in
arm64) emulator=(qemu-aarch64-static -cpu cortex-a53) ;;
# The first Raspberry Pi and the Zero.
armhf) emulator=(qemu-arm-static -cpu arm1176) ;;
esac
cp "$(command -v "${emulator[0]}")" "$work/root/usr/local/bin/"
oauth2mqtt=("/usr/local/bin/${emulator[0]}" "${emulator[@]:1}" /usr/bin/oauth2mqtt)
# The process of the database is started in the same way.
printf '#!/bin/sh\nexec %s "$@"\n' "${oauth2mqtt[*]}" >"$work/root/usr/local/bin/oauth2mqtt-emulated"
chmod +x "$work/root/usr/local/bin/oauth2mqtt-emulated"

start_provider 40
# An emulator writes code to memory and then runs it; nothing else of the unit is changed.
mkdir "$work/root/etc/systemd/system/oauth2mqtt.service.d"
cat >"$work/root/etc/systemd/system/oauth2mqtt.service.d/emulated.conf" <<END
[Service]
ExecStart=
ExecStart=${oauth2mqtt[*]} run
Environment=OAUTH2MQTT_PROGRAM=/usr/local/bin/oauth2mqtt-emulated
MemoryDenyWriteExecute=no
END
power_on

it 'installs and runs'
inside dpkg --add-architecture "$what"
cp "$package" "$work/root/root/"
inside dpkg --install "/root/$(basename "$package")" >"$work/apt" 2>&1 || fail "dpkg: $(cat "$work/apt")"
contains "$(inside "${oauth2mqtt[@]}" --version)" "$(dpkg-deb --field "$package" Version)"
equal 'the state' "$(property ActiveState)/$(property UnitFileState)" active/enabled

it 'signs in, refreshes and publishes the tokens'
add_account garden
inside systemctl reload oauth2mqtt
sign_in garden
token=$(access_token garden)
eventually 45 has_another_token garden "$token"
is_signed_in garden >/dev/null

it 'is still signed in after kill -9 and after a reboot'
before=$(property MainPID)
signal KILL "$before"
eventually 30 eval "[ \"\$(property MainPID)\" != $before ] && is_property ActiveState active"
eventually 30 is_signed_in garden
reboot_device
eventually 30 is_signed_in garden
equal 'the approvals' "$(approvals)" 1
equal 'the refused refreshes' "$(reused_tokens)" 0
