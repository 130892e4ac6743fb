# name_dovecot_files [DESTDIR]    prints which files below /etc/dovecot need the user dovegate or a file of /etc/dovegate, and the commands
# that remove them: Dovecot does not start while its configuration names a user or a file that does not exist. install.mjs calls this at
# an uninstall. postrm of the packages holds this text, and calls it at a removal. Sets dovecot_paths: the files that need /etc/dovegate.
name_dovecot_files() {
	# Only as a value: dovegate-doveadm is a socket. Copies that Dovecot does not read count too, since they may be put back.
	as_user='^[^#]*=([^#]*[^-/_.[:alnum:]])?dovegate([^-/_.[:alnum:]]|$)'
	as_path='^[^#]*/etc/dovegate/'
	dovecot_paths=$({
		grep -rlsE "$as_path" "${1-}/etc/dovecot" || :
		find -H "${1-}/etc/dovecot" -type l -lname '*/dovegate/*' 2> /dev/null || :
	})
	dovecot_files=$({
		grep -rlsE "$as_user" "${1-}/etc/dovecot" || :
		printf '%s\n' "$dovecot_paths"
	} | sed '/^$/d' | sort -u)
	if [ -z "$dovecot_files" ]; then return 0; fi
	echo "dovegate: these files of Dovecot need the user dovegate, or files of /etc/dovegate; without them Dovecot does not start:"
	snippets=
	while IFS= read -r file; do
		lines=$(grep -nsE "$as_user|$as_path" "$file" | cut -d : -f 1 | tr '\n' ' ')
		case ${file##*/} in
		# For dovegate alone.
		*dovegate*.conf)
			echo "dovegate:   $file"
			snippets="$snippets $file"
			;;
		*) echo "dovegate:   $file: take these lines out: ${lines% }" ;;
		esac
	done <<-END
		$dovecot_files
	END
	echo "dovegate: keep the user until Dovecot is without them:"
	if [ -n "$snippets" ]; then echo "  rm$snippets"; fi
	echo "  doveadm reload"
}
