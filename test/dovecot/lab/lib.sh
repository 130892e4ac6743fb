# Common parts of setup, instance, start, users, stop. Sourced by bash; not run.
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

# For what sets something up in its folder $home, with a log at $log (and, perhaps, a lock on descriptor 9).
quietly() { "$@" >> "$log" 2>&1 9>&- || fail "${*:1:2} failed: $(tail -n 3 "$log")"; }
packages() { bash "$here/../../../scripts/packages.sh" "$@" 9>&-; }        # packages STAGE: install what this stage needs

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
