#!/bin/sh
# First process of a host in the rig. Its own cgroups come read-only and systemd wants to write them; systemd 257 takes
# the older cgroups of some machines only when it is forced to.
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
	if mountpoint -q "$hierarchy"; then mount -o remount,bind,rw "$hierarchy"; fi
done
exec /sbin/init SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
