# Asks the system for names of users and groups, for `dovegate serve` (name-process.ts, which says what is read and written):
#   /bin/sh names.sh SECONDS    for each question at most; `timeout` ends a program with its children
exec 3<&0 </dev/null
set -f
newline='
'
limit() { "$@"; }
command -v timeout >/dev/null && limit() { timeout -s KILL "$seconds" "$@"; }
seconds=$1
answer() {
  case $kind in
    passwd|group) text=$(limit getent "$kind" -- "$key") ;;
    groups) text=$(limit id -G -- "$key") ;;
    ranges) text=$(limit getsubids "$key") ;;
  esac
  code=$?
  case $kind in
    passwd|group)
      # The password field is not passed on.
      IFS=:
      set -- ${text%%"$newline"*}
      text=$1:$3 IFS=$newline ;;
    groups) IFS=" $newline" ;;
    ranges) IFS=$newline ;;
  esac
  [ "$code" != 0 ] || for part in $text; do printf '%s + %.900s\n' "$id" "$part"; done
  printf '%s %s\n' "$id" "$code"
}
while IFS= read -r line <&3; do
  id=${line%% *} line=${line#* }
  kind=${line%% *} key=${line#* }
  answer 3<&- &
  # Makes the shell collect its ended children: it does so only while it waits for one.
  (:)
done
