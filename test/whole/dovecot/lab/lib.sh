# Common parts of root, setup, instance, start, users, stop, and of the labs beside this one. Sourced by bash; not run.
# A release has a root: nothing for `native`, else a Debian root below the labs folder. An instance is a folder DIR (as the machine sees
# it); P is the same folder as Dovecot sees it. The instance's `settings` holds RELEASE, ROOT and PORT.

fail() { echo "${0##*/}: $*" >&2; exit 1; }

releases="native bullseye bookworm bookworm-backports trixie sid"
labs=${DOVEGATE_LABS:-${TMPDIR:-/tmp}/dovegate-labs}

root_of() {        # root_of RELEASE: empty for native
	case " $releases " in *" $1 "*) ;; *) fail "unknown release $1 (one of: $releases)";; esac
	[ "$1" = native ] || echo "$labs/$1/root"
}

# The machine's own package archive: the first Debian one that apt is configured for.
mirror() {
	local m
	m=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | sort -u | grep -E '/debian/?$' | head -n 1)
	[ -n "$m" ] || m=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
		grep -v '^#' | grep -oE '[a-z+]+://[^ ]*/debian/?( |$)' | head -n 1)
	[ -n "$m" ] || fail "no Debian archive in this machine's apt configuration"
	echo "${m%% }"
}

# For what sets something up in its folder $home, with a log at $log, and a lock on descriptor 9 that its programs do not hold.
quietly() { "$@" >> "$log" 2>&1 9>&- || fail "${*:1:2} failed: $(tail -n 3 "$log")"; }
packages() { bash "$here/../../../../scripts/packages.sh" "$@" 9>&-; }        # packages STAGE: install what this stage needs

# alone "$@": this script again in namespaces of its own, unless it is there: its processes and its mounts end with it, however it ends.
alone() { [ $$ = 1 ] || exec unshare --mount --mount-proc --pid --fork --kill-child bash "$0" "$@"; }

# remove PATH...: for a script that is alone. A killed one of another kind may have left the machine's own files mounted below a path.
remove() {
	local path place
	for path; do
		while read -r _ _ _ _ place _; do
			place=$(printf %b "$place")        # a blank is \040 there
			case $place in "$path" | "$path"/*) umount -l "$place";; esac
		done < <(tac /proc/self/mountinfo)
		rm -rf --one-file-system "$path"
	done
}

load() {           # load DIR: RELEASE ROOT PORT of an instance; DIR without its last slash; P
	DIR=$(cd "$1" && pwd)
	[ -r "$DIR/settings" ] || fail "$DIR has no file settings; run instance first"
	. "$DIR/settings"
	P=${DIR#"$ROOT"}
	CONF=$P/dovecot.conf
}

in_root() {        # run a program where this release's Dovecot lives
	if [ -z "$ROOT" ]; then env LC_ALL=C.UTF-8 "$@"; else
		env -u TMPDIR LC_ALL=C.UTF-8 chroot "$ROOT" "$@"; fi
}

doveadm_() { in_root doveadm -c "$CONF" "$@"; }

alive() {          # alive PID: neither gone nor dead and waiting for its parent to notice
	local state
	[ -n "$1" ] && { read -r _ _ state _ < "/proc/$1/stat"; } 2>/dev/null && [ "$state" != Z ]
}

running() { alive "$(cat "$DIR/run/master.pid" 2>/dev/null)"; }
