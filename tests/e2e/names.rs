//! Names of brokers that only a daemon of the device knows. A static program has to ask it by itself.

use std::fs;
use std::process::Command;

use crate::support::clock::SOON;
use crate::support::device::Device;
use crate::support::process::Process;

/// Two machines with a cable between them: this device, called `plant-7`, and one that answers to `gateway.local`. Each has a broker.
const NETWORK: &str = "
cd \"$1\"; shift
mount -t tmpfs tmpfs /run
hostname plant-7
ip netns add gateway
ip link add cable type veth peer name cable netns gateway
for machine in '' '-netns gateway'; do
    ip $machine link set lo up
    ip $machine link set cable up multicast on
done
ip address add 192.0.2.1/24 dev cable
ip -netns gateway address add 192.0.2.2/24 dev cable
for file in passwd group; do
    { grep -v -e ^avahi: -e ^systemd-resolve: /etc/$file; printf '%s:x:0:0::/:/bin/false\\n' avahi systemd-resolve; } >$file
    mount --bind $file /etc/$file
done
# The libraries of a program that may be unpacked and not installed.
libraries() {
    root=$(command -v $1); root=${root%/lib/systemd/*}; root=${root%/sbin/*}; root=${root%/usr}
    echo $root/usr/lib/*-linux-* $root/usr/lib/*-linux-*/systemd | tr ' ' :
}
avahi='mkdir /run/avahi-daemon; exec avahi-daemon --no-drop-root --no-chroot --no-rlimits --file'
export LD_LIBRARY_PATH=$(libraries avahi-daemon)
ip netns exec gateway unshare --mount sh -euc \"mount -t tmpfs tmpfs /run; $avahi $PWD/gateway.conf\" &
unset LD_LIBRARY_PATH
mosquitto -c here.conf &
ip netns exec gateway mosquitto -c there.conf &
";

/// What the device runs to find names.
const AVAHI: &str = "LD_LIBRARY_PATH=$(libraries avahi-daemon) sh -euc \"$avahi $PWD/plant-7.conf\" &";
const RESOLVED: &str = "
mkdir -p /run/systemd/resolved.conf.d /run/systemd/resolve/netif
printf '[Resolve]\\nMulticastDNS=yes\\n' >/run/systemd/resolved.conf.d/mdns.conf
# As `resolvectl mdns cable yes` leaves it, which would need D-Bus.
echo MDNS=yes >/run/systemd/resolve/netif/$(ip -oneline link show cable | cut -d : -f 1)
LD_LIBRARY_PATH=$(libraries systemd-resolved) systemd-resolved &
";

/// Starts an agent for the broker of this name in that network, and waits until it is connected.
#[track_caller]
fn finds(broker: &str, daemon: &str) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["gateway", "plant-7"] {
        let conf = format!("[server]\nhost-name={name}\nuse-ipv6=no\nenable-dbus=no\nallow-interfaces=cable\n");
        fs::write(folder.path().join(format!("{name}.conf")), conf).unwrap();
    }
    for (name, address) in [("here", "192.0.2.1"), ("there", "192.0.2.2")] {
        let conf = format!("user root\nlistener 1883 {address}\nallow_anonymous true\npersistence false\n");
        fs::write(folder.path().join(format!("{name}.conf")), conf).unwrap();
    }
    let device = Device::new(&format!("url = \"mqtt://{broker}\"\nallow_plaintext = true\n"), 1);
    let agent = device.command("run");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "--map-root-user"]);
    command.args(["sh", "-euc", &format!("{NETWORK}{daemon}\nexec \"$@\""), "sh"]).arg(folder.path());
    command.arg(agent.get_program()).args(agent.get_args());
    command.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut all = Process::start("the network", &mut command);
    all.wait_for("the broker", SOON * 2, |all| all.stderr().contains("connected to the broker").then_some(()));
    all.kill();
}

#[test]
fn a_name_in_local_is_found_by_way_of_avahi() {
    finds("gateway.local", AVAHI);
}

#[test]
fn a_name_in_local_is_found_by_way_of_systemd_resolved() {
    finds("gateway.local", RESOLVED);
}

#[test]
fn the_devices_own_name_is_found_by_way_of_systemd_resolved() {
    finds("plant-7", RESOLVED);
}
