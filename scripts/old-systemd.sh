# match_systemd [remove]    systemd before 250 (Debian 11, Ubuntu 22.04) cannot load a folder of credentials, and does not start a service
# that asks for one: drop-ins take it out of our units there, and go when systemd is newer, or with `remove`. install.mjs calls this;
# postinst and postrm of the packages hold this text.
match_systemd() {
	version=$(systemctl --version 2> /dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
	for unit in dovegate dovegate-fleet; do
		folder=/etc/systemd/system/$unit.service.d
		if [ "${1-}" != remove ] && [ "${version:-250}" -lt 250 ]; then
			mkdir -p "$folder"
			printf '# systemd %s cannot load a folder of credentials.\n[Service]\nLoadCredential=\n' "$version" > "$folder/old-systemd.conf"
		elif [ -e "$folder/old-systemd.conf" ]; then
			rm "$folder/old-systemd.conf"
			rmdir "$folder" 2> /dev/null || :
		fi
	done
}
