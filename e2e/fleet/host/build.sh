#!/usr/bin/env bash
# Builds the machine that the simulated Hetzner hands out: Debian with systemd, sshd, Docker and cloud-init, as a tarball
# for `docker import`. Needs root and debootstrap; takes some four minutes and nothing from any image registry.
# usage: build.sh OUT.tar.gz
set -euo pipefail
out=$1
root=$(mktemp -d "$(dirname "$out")/host-root.XXXXXX")
cleanup() {
	umount "$root/proc" 2>/dev/null || true
	rm -rf --one-file-system "$root"
}
trap cleanup EXIT
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# Left out from the start rather than removed after: half of what dpkg would write.
mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
cat >"$root/etc/dpkg/dpkg.cfg.d/lean" <<'LEAN'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/i18n/*
force-unsafe-io
LEAN
debootstrap --variant=minbase \
	--include=systemd,systemd-sysv,dbus,openssh-server,iproute2,iptables,ca-certificates,procps,curl \
	trixie "$root" http://deb.debian.org/debian

# cloud-init depends on virtual packages, which debootstrap does not resolve and apt does.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
chroot "$root" apt-get install -y -qq --no-install-recommends \
	docker.io docker-cli docker-compose cloud-init python3-cffi-backend unattended-upgrades sudo ufw
umount "$root/proc"

# A host of the rig asks nobody for packages: what cloud-init wants installed is there, and a list of sources that is
# empty answers "already the newest version" at once.
rm -rf "$root"/usr/sbin/policy-rc.d "$root"/etc/apt/sources.list* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin \
	"$root"/var/cache/apt/archives/*.deb "$root"/var/log/*.log "$root"/etc/ssh/ssh_host_* "$root"/etc/machine-id
: >"$root/etc/machine-id"
# As on Hetzner's images, the keys of a server are root's. A container's network is Docker's to set up.
cat >"$root/etc/cloud/cloud.cfg.d/90-rig.cfg" <<'CLOUD'
datasource_list: [NoCloud]
disable_root: false
network: {config: disabled}
CLOUD
for unit in systemd-modules-load.service getty.target systemd-logind.service apt-daily.timer apt-daily-upgrade.timer; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
install -m 755 "$(dirname "$0")/init.sh" "$root/init.sh"

tar -C "$root" --exclude='./proc/*' --exclude='./sys/*' -cf - . | gzip -1 >"$out.part"
mv "$out.part" "$out"
