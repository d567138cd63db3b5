# The same device on a kernel of its own: Debian's, on an emulated PC that can be suspended. A container has the clocks of its
# host. Once this file is sourced, commands run on the PC.
# shellcheck shell=bash

# The port of the device's shell; nobody else is in its network.
shell_port=2222

# Debian's kernel for virtual machines, downloaded once.
kernel() {
    [ ! -e "$cache/kernel/.whole" ] || return 0
    rm -rf "${cache:?}/kernel"
    mkdir "$cache/kernel"
    apt-get update --quiet >"$work/apt"
    local package
    package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
    (cd "$cache/kernel" && apt-get download --quiet --option APT::Sandbox::User=root "$package" >>"$work/apt")
    dpkg-deb --extract "$cache/kernel/$package"_*.deb "$cache/kernel"
    rm "$cache/kernel/$package"_*.deb
    # Newer releases have it below usr only.
    [ -e "$cache/kernel/lib" ] || ln -s usr/lib "$cache/kernel/lib"
    depmod --basedir "$cache/kernel" "$(kernel_version)"
    touch "$cache/kernel/.whole"
}

kernel_version() { ls "$cache/kernel/lib/modules"; }

# Adds what the device does not need in a container: a network card, and a shell that can be reached over it.
furnish() {
    local system=$work/root/etc/systemd/system module version
    version=$(kernel_version)
    for module in virtio_pci virtio_net; do
        echo "$module" >>"$work/root/etc/modules-load.d/network.conf"
        modprobe --dirname "$cache/kernel" --set-version "$version" --show-depends "$module"
    done | sed -n "s|^insmod $cache/kernel/||p" | sort --unique >"$work/modules"
    (
        cd "$cache/kernel" || exit
        xargs cp --parents --target-directory="$work/root" <"$work/modules"
        cp --parents --target-directory="$work/root" "lib/modules/$version"/modules.{order,builtin*}
    )
    depmod --basedir "$work/root" "$version"
    cp "$(command -v busybox)" "$work/root/usr/local/bin/"
    cat >"$system/network.service" <<'END'
[Unit]
Before=network.target
[Service]
Type=oneshot
ExecStart=busybox ip link set eth0 up
ExecStart=busybox ip address add 10.0.2.15/24 dev eth0
ExecStart=busybox ip route add default via 10.0.2.2
END
    cat >"$system/shell.socket" <<END
[Socket]
ListenStream=$shell_port
Accept=yes
END
    cat >"$system/shell@.service" <<'END'
[Service]
ExecStart=-/bin/bash
StandardInput=socket
StandardError=journal+console
Environment=HOME=/root LANG=C.UTF-8
END
    mkdir -p "$system/sockets.target.wants" "$system/multi-user.target.wants"
    ln -s ../shell.socket "$system/sockets.target.wants/"
    ln -s ../network.service "$system/multi-user.target.wants/"
}

# Starts the device on that kernel. Its disk is in memory, so what it writes is lost when it is off.
boot_pc() {
    kernel
    furnish
    (
        cd "$work/root" || exit
        find . '(' -path ./var/cache/apt -o -path ./var/lib/apt/lists -o -path ./usr/share/doc ')' -prune -o -print0 |
            cpio --null --create --format=newc --quiet
    ) >"$work/memory"
    mkfifo "$work/orders"
    ip netns exec "$device" "${world_clock[@]}" qemu-system-x86_64 -accel tcg -m 1G -nodefaults -display none -no-reboot \
        -kernel "$cache/kernel/boot/vmlinuz-$(kernel_version)" -initrd "$work/memory" \
        -append 'rdinit=/sbin/init console=ttyS0 systemd.getty_auto=no' -serial "file:$work/kernel" -qmp stdio \
        -netdev "user,id=network,hostfwd=tcp:127.0.0.1:$shell_port-:$shell_port" \
        -device virtio-net-pci,netdev=network,romfile= <>"$work/orders" >"$work/machine" 2>&1 &
    machine=$!
    order qmp_capabilities
    eventually 60 is_up
}

# Sends a command to the emulator (QEMU Machine Protocol); its answers and events are in $work/machine.
order() { echo "{\"execute\":\"$1\"}" >"$work/orders"; }

# Runs a command on the device, as root.
inside() {
    local answer
    # shellcheck disable=SC2016
    answer=$(timeout 30 ip netns exec "$device" bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$0"
        echo "{ $1; } </dev/null; printf \"\\n%d\" \$?; exit" >&3
        cat <&3
    ' "$shell_port" "${*@Q}" 2>/dev/null) || return 1
    printf '%s' "${answer%$'\n'*}"
    return "${answer##*$'\n'}"
}

is_asleep() { [ "$(grep --count '"SUSPEND"' "$work/machine")" = "$1" ]; }

fall_asleep() {
    inside systemctl --no-block suspend
    nights=$((${nights:-0} + 1))
    eventually 20 is_asleep "$nights"
}

# Wakes the device up. Its battery-backed clock meanwhile shows the time of the world's clock.
wake_up() {
    order system_wakeup
    eventually 20 inside true
}
