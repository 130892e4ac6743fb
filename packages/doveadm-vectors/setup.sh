#!/bin/sh
# Fills the mailboxes that the sessions were recorded with. DOVEADM is the program with its options (default: doveadm):
#
#   DOVEADM='doveadm -c /etc/dovecot/test.conf' sh setup.sh
#
# For a server of its own, whose mailboxes are empty. It has the users alice, bob, victim and small, all @example.org; a quota
# "User quota" of 10 MiB, 2 KiB for small; the plugins quota, acl and sieve. With `doveadm_port` set: moved (passdb: nologin=y
# host=192.0.2.7) and proxied (proxy=y host=127.0.0.1 port=1).
set -eu
doveadm=${DOVEADM:-doveadm}
mail=$(mktemp)
trap 'rm -f "$mail"' EXIT

# say USER SUBJECT NUMBER BODY-COMMAND...: one mail with a fixed date
say() {
	user=$1 subject=$2 number=$3
	shift 3
	{
		printf 'From: sender@example.net\r\nTo: %s\r\nSubject: %s\r\n' "$user" "$subject"
		printf 'Message-ID: <%s-%s>\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\n' "$number" "$user"
		printf 'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
		"$@"
	} > "$mail"
	$doveadm save -u "$user" < "$mail"
}
hello() { printf 'Hello %s\r\nsecond line\r\n' "${user%@*}"; }
eight_bit() { printf '\303\251t\303\251 \351 latin-1\r\nno newline at end'; }
# Every byte value, the bytes that matter to the protocol, a line of one dot.
binary() {
	byte=0
	while [ $byte -lt 256 ]; do
		printf "\\$(printf %03o $byte)"
		byte=$((byte + 1))
	done
	printf '\r\ntab[\t] soh[\001] cr[\r] prefix[\003\376] plus:\r\n\r\n+\r\n-NOUSER\r\n.\r\n..\r\nend\r\n'
}
large() { head -c 70000 /dev/zero | tr '\0' x | fold -w 76; }

for name in alice bob victim; do
	$doveadm mailbox create -u "$name@example.org" Archive Drafts "$(printf '\303\234n\303\257code')"
	$doveadm mailbox subscribe -u "$name@example.org" Archive
	say "$name@example.org" first 1 hello
	say "$name@example.org" "$(printf 'gr\303\274\303\237e')" 2 eight_bit
done
say alice@example.org binary 3 binary
say alice@example.org large 4 large
printf 'require ["fileinto"];\nfileinto "Archive";\n' | $doveadm sieve put -u alice@example.org -a main
