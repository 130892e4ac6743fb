#!/bin/bash
# guard.sh PROGRAM [ARGUMENT...]    runs it and ends with its exit code. Descriptor 3 is a pipe from the process that started this one: when
# that is gone, all that the program started is killed. As process 1 of namespaces (`ownRun` in setup.mjs) that is every process in them,
# also after an end of the program, and their mounts go with the last of them. Elsewhere it is the process group.
end() {
	trap '' TERM
	exec 2> /dev/null        # bash would report each that it kills
	if [ $$ != 1 ]; then kill -KILL 0; exit "$1"; fi
	kill -KILL -1
	# A process that writes to a frozen disk dies only when it is thawed.
	while read -r _ _ _ _ place _ rest; do
		case " $rest" in *" - ext4 /dev/loop"*) fsfreeze -u "$(printf %b "$place")";; esac
	done < /proc/self/mountinfo
	exit "$1"
}
trap 'end 143' TERM
"$@" 3<&- &
program=$!
# The second is for what a run without namespaces leaves behind after its own end.
{ cat <&3 > /dev/null; kill -TERM $$ 2> /dev/null || kill -KILL 0; } &
exec 3<&-
wait "$program"; code=$?
[ $$ != 1 ] || end $code
exit $code
