#!/bin/bash
# packages.sh STAGE...    install the system packages that the tests of these stages need: one apt run under one lock, no service
# started. Prints nothing if all are there. Without root or apt it names what is missing, and exits 2.
# packages.sh --missing STAGE...    only prints them.
#
# Stages: those of test.mjs, `debian` (roots of other releases), `bench`, and `sudo` (a row of `bench -- dovecot`). test.mjs calls this
# once before its stages. The labs below test/ call it again, so that a single test file, or a lab used by hand, works too. The lock is
# needed because apt-get waits for the lock of dpkg (DPkg::Lock::Timeout), but not for the lock of the package lists.
set -eu
fail() { echo "${0##*/}: $*" >&2; exit 1; }

# A program in PATH or a path pattern, and the package that has it.
needs() {
	case $1 in
	package) echo "git git"; echo "lintian lintian"; echo "rpmbuild rpm"
		echo "createrepo_c createrepo-c"; echo "gpg gpg"; echo "gpg-agent gpg-agent"
		# The package for arm64 runs on amd64 under emulation.
		if [ "$(uname -m)" = x86_64 ]; then
			echo "qemu-aarch64-static qemu-user-static"; echo "/usr/aarch64-linux-gnu/lib/libstdc++.so.6 libstdc++6-arm64-cross"
		fi;;
	unit | host | doveadm | rules | journal | gate | evidence | ship | page | client)
		echo "curl curl"; echo "openssl openssl"; echo "mkfs.ext4 e2fsprogs"; echo "mount mount"; echo "setpriv util-linux";;
	scenario)
		echo "setpriv util-linux"; echo "newuidmap uidmap"; echo "zsh zsh"; echo "fish fish"
		echo "python3 python3"; echo "openssl openssl";;
	browser)
		echo "setpriv util-linux"; echo "/usr/bin/chromium chromium"
		echo "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf fonts-dejavu-core";;
	dovecot)
		echo "/usr/sbin/dovecot dovecot-core"
		echo "/usr/lib/dovecot/modules/doveadm/*doveadm_sieve_plugin.so dovecot-sieve";;
	audit)
		echo "/usr/sbin/exim4 exim4-daemon-light"
		echo "/usr/sbin/rsyslogd rsyslog"; echo "/usr/lib/*/rsyslog/lmnsd_gtls.so rsyslog-gnutls"
		echo "/usr/bin/prometheus prometheus";;
	fleet)
		echo "prlimit util-linux"; echo "rclone rclone"
		echo "/usr/lib/*/faketime/libfaketimeMT.so.1 libfaketime"; echo "mkfs.ext4 e2fsprogs";;
	debian) echo "debootstrap debootstrap";;
	systemd) needs debian; echo "systemd-nspawn systemd-container"; echo "rpmbuild rpm"; echo "ip iproute2";;
	container) needs systemd; needs dovecot; echo "buildah buildah"; echo "crun crun";;
	bench)
		echo "/usr/sbin/haproxy haproxy"; echo "cc gcc"; echo "/usr/include/stdio.h libc6-dev"
		echo "/usr/include/openssl/ssl.h libssl-dev";;
	sudo) echo "/usr/bin/sudo sudo";;
	fuzz) echo "python3 python3"; echo "openssl openssl";;
	lint) ;;
	*) fail "unknown stage $1";;
	esac
}

missing() {        # missing STAGE...: the packages
	local stage probe package
	for stage; do needs "$stage"; done | sort -u | while read -r probe package; do
		case $probe in
		/*) compgen -G "$probe" > /dev/null || echo "$package";;
		*) PATH=$PATH:/usr/sbin:/sbin command -v "$probe" > /dev/null || echo "$package";;
		esac
	done
}

only=; if [ "${1-}" = --missing ]; then only=1; shift; fi
for stage; do needs "$stage" > /dev/null; done
packages=$(missing "$@")
if [ -n "$only" ]; then echo $packages; exit; fi
[ -n "$packages" ] || exit 0
why=
[ "$(id -u)" = 0 ] || why="only root can install them"
command -v apt-get > /dev/null || why="this machine has no apt"
if [ -n "$why" ]; then
	echo "missing, and $why: "$packages"; the tests that need them are skipped" >&2
	exit 2
fi

exec 9< /var/lib/dpkg; flock 9
packages=$(missing "$@")
[ -n "$packages" ] || exit 0
work=$(mktemp -d); hook=/usr/sbin/policy-rc.d
trap 'rm -rf "$work"' EXIT
# A killed run leaves a link that leads nowhere, and perhaps packages that are half installed.
if ! [ -e $hook ]; then
	printf '#!/bin/sh\nexit 101\n' > "$work/policy"; chmod 755 "$work/policy"
	ln -sfn "$work/policy" $hook; trap 'rm -f $hook; rm -rf "$work"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" > "$work/log" 2>&1 9<&-; }
echo "installing" $packages >&2
[ -z "$(ls /var/lib/dpkg/updates)" ] || dpkg --configure -a > "$work/log" 2>&1 9<&- || :
until apt update; do
	# Another program of the system may be updating the lists.
	[ $SECONDS -lt 120 ] && grep -q 'Could not get lock' "$work/log" || fail "apt-get update failed: $(tail -n 3 "$work/log")"
	sleep 2
done
apt install -y --no-install-recommends $packages || fail "apt-get install failed: $(tail -n 3 "$work/log")"
packages=$(missing "$@")
[ -z "$packages" ] || fail "installed, and still missing: "$packages
