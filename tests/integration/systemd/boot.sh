#!/bin/bash
# Boots the machine's own systemd as PID 1 of namespaces of its own, with a root of its own: /usr of this machine,
# read-only, and everything else empty. Becomes unshare(1), whose only child is that systemd.
#
# boot.sh CGROUP ROOT PROGRAMS UNIT...
#   CGROUP    an empty cgroup v2 directory; it becomes the root of the hierarchy in there
#   ROOT      an empty directory, where the new root is mounted (seen in there only)
#   PROGRAMS  directory of hearth's programs, in there /hearth
#   UNIT...   unit files; their /usr/bin/hearth becomes /hearth/hearth
set -euo pipefail

inside() {
  local root=$1 programs=$2 name
  shift 2
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 hearth-systemd "$root"
  cd "$root"
  mkdir -p usr etc/systemd/system var/log var/lib tmp run root dev proc sys hearth old
  mount --rbind /usr usr
  for name in bin sbin lib lib64; do
    if [[ -L /$name ]]; then cp -a "/$name" .; else mkdir "$name" && mount --rbind "/$name" "$name"; fi
  done
  mount --bind "$programs" hearth
  cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache etc/
  tr -d - < /proc/sys/kernel/random/uuid > etc/machine-id
  for name in "$@"; do
    sed 's,/usr/bin/hearth,/hearth/hearth,' "$name" > "etc/systemd/system/${name##*/}"
  done
  printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' > etc/systemd/system/test.target
  # What a machine needs and these namespaces do not.
  for name in systemd-{udevd,udev-trigger,sysusers,tmpfiles-setup,tmpfiles-setup-dev,journal-flush,sysctl,modules-load,update-utmp,random-seed,machine-id-commit,binfmt,pstore}.service; do
    ln -s /dev/null "etc/systemd/system/$name"
  done
  mount -t proc proc proc
  mount -t sysfs -o ro sys sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 dev dev
  for name in null zero full random urandom tty; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
  done
  mkdir dev/pts dev/shm
  mount -t tmpfs shm dev/shm
  ln -s /proc/self/fd dev/fd
  mount -t tmpfs -o mode=755 run run
  mount -t tmpfs tmp tmp
  pivot_root . old
  umount -l /old
  exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console --unit=test.target
}

if [[ $1 == --inside ]]; then
  shift
  inside "$@"
fi
echo $$ > "$1/cgroup.procs"
shift
exec unshare --mount --pid --cgroup --ipc --uts --fork --kill-child bash "$0" --inside "$@"
