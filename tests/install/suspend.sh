# A device that is suspended for a day, and one whose clock is set by years while the agent runs, on a kernel of its own.
# shellcheck shell=bash

set_world_clock +0
start_provider 1800
power_on
install_package "$(package amd64)"
add_account garden
add_account shed
inside systemctl reload oauth2mqtt
sign_in garden
power_off
. "$here/pc.sh"
boot_pc

clock() { inside date +%s; }
since_boot() { inside cut -d. -f1 /proc/uptime; }
# Nanoseconds of the clock that stops during suspend, and of the processor time that the agent has used.
awake() { inside sed -n 's/^now at \([0-9]*\) nsecs/\1/p' /proc/timer_list; }
worked() { property CPUUsageNSec; }
# The number of token requests with a grant, whatever the provider answered.
asked() { ask_provider /test/log | jq --arg grant "$1" '[.[] | select(.grant_type == $grant)] | length'; }
has_noticed() { [ "$(journal --boot | grep --count 'the clock was set')" = "$1" ]; } # STEPS of the clock
has_refreshed() { [ "$(asked refresh_token)" -gt "$refreshed" ]; }

it 'is still signed in'
eventually 30 is_signed_in garden
inside systemd-run --quiet --property=StandardOutput=truncate:/root/heard \
    mosquitto_sub -V mqttv5 -t oauth2mqtt/garden/token -F '{"at":%U,"said":%p}'
eventually 10 inside test -s /root/heard

it 'is suspended for a day, in which only the clocks that include suspend go on'
token=$(access_token garden)
process=$(property MainPID)
awake=$(awake) since_boot=$(since_boot)
fall_asleep
refreshed=$(asked refresh_token)
set_world_clock +1d
wake_up
slept=$(($(since_boot) - since_boot - ($(awake) - awake) / 1000000000))
{ [ "$slept" -gt 86000 ] && [ "$slept" -lt 87000 ]; } || fail "it slept for $slept s"

it 'has a new token within seconds after that, with one request'
eventually 20 has_another_token garden "$token"
is_signed_in garden >/dev/null
equal 'the refreshes' $(($(asked refresh_token) - refreshed)) 1
equal 'the process' "$(property MainPID)" "$process"

it 'refreshes after a night in which the broker was away, and finds it when it is back'
token=$(access_token garden)
inside mosquitto_pub -t oauth2mqtt/bridge/request/login -m shed
eventually 10 says shed/signin .pending
inside systemctl stop mosquitto
fall_asleep
refreshed=$(asked refresh_token) polled=$(asked device_code)
set_world_clock +2d
wake_up
eventually 20 has_refreshed
inside systemctl start mosquitto
eventually 20 has_another_token garden "$token"
is_signed_in garden >/dev/null
equal 'the refreshes' $(($(asked refresh_token) - refreshed)) 1

it 'stops polling for a code that has expired overnight'
eventually 5 says shed/status '.error.code == "expired_token"'
# One request may have been under way.
[ $(($(asked device_code) - polled)) -le 1 ] || fail "it asked $(($(asked device_code) - polled)) times"

it 'waits for a network that is not there in the morning, and needs nobody'
token=$(access_token garden)
fall_asleep
pull_cable
refreshed=$(asked refresh_token)
set_world_clock +3d
wake_up
eventually 40 says garden/status '.state == "expired" and .error.retry_at'
says garden/status '.needs_user | not' >/dev/null
says garden/token '.access_token == null' >/dev/null
plug_cable
eventually 40 has_another_token garden "$token"
is_signed_in garden >/dev/null
equal 'the refreshes' $(($(asked refresh_token) - refreshed)) 1

it 'never published an expired token'
heard=$(inside cat /root/heard)
equal 'the lapsed tokens' "$(jq 'select(.said.access_token and .at >= .said.expires_at)' <<<"$heard")" ''
equal 'the tokens' "$(jq --slurp 'map(.said.access_token // empty) | unique | length' <<<"$heard")" 4

it 'keeps the token while the clock is set by ten years, forward and back'
token=$(access_token garden)
refreshed=$(asked refresh_token) worked=$(worked) awake=$(awake)
steps=0
for years in 10 -20 10; do
    inside date --set="@$(($(clock) + years * 365 * 86400))" >/dev/null
    eventually 10 has_noticed $((steps += 1))
    equal 'the token' "$(access_token garden)" "$token"
    left=$(($(topic garden/status | jq .expires_at) - $(clock)))
    { [ "$left" -gt 1200 ] && [ "$left" -le 1800 ]; } || fail "the token is said to end in $left s"
done
equal 'the refreshes' $(($(asked refresh_token) - refreshed)) 0
share=$((($(worked) - worked) * 100 / ($(awake) - awake)))
[ "$share" -lt 10 ] || fail "the agent used $share % of the processor"

it 'refreshes as before, and is still signed in'
inside oauth2mqtt refresh garden >/dev/null
has_another_token garden "$token"
is_signed_in garden >/dev/null
sign_in shed
equal 'the approvals' "$(approvals)" 2
equal 'the refused refreshes' "$(reused_tokens)" 0
