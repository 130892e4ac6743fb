#!/bin/bash
# unpack.sh ROOT: Ceph's monitor, object store and S3 gateway from the distribution's packages, unpacked below ROOT; nothing is installed.
# Some 100 packages, 280 MB. What every Debian has (priority required, important) is left out. ROOT has its name when it is whole.
set -euo pipefail
root=$1; mkdir -p "$(dirname "$root")"
exec 9> "$root.lock"; flock 9
[ -d "$root" ] && exit 0
work=$(mktemp -d "$root.new.XXXX"); trap 'rm -rf "$work"' EXIT
cd "$work"; mkdir debs tree; : > status
packages() {
	apt-get -o Dir::State::status="$work/status" install --simulate -y --no-install-recommends ceph-mon ceph-osd radosgw ceph-common 2> log |
		sed -n 's/^Inst \([^ ]*\).*/\1/p'
}
names=$(packages) || { apt-get -q -o Acquire::Retries=3 update > log 2>&1; names=$(packages); }
wanted=$(apt-cache show --no-all-versions $names |
	awk '/^Package: /{p=$2} /^Priority: /{if ($2 != "required" && $2 != "important") print p}' | sort -u |
	grep -vE '^(libc6|libgcc-s1|gcc-.*-base|libstdc\+\+6|libcrypt1)$')
cd debs; chmod 755 "$work" .
download() { apt-get download -qq $wanted > ../log 2>&1; }
download || { apt-get -q update > ../log 2>&1 && download; } || { cat ../log >&2; exit 1; }
for deb in *.deb; do dpkg -x "$deb" ../tree; done
chmod 755 ../tree; mv ../tree "$root"
