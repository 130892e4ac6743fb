#!/bin/sh
# Installs dovegate from this folder, which has all that it needs; downloads nothing. Run as root:
#
#   sh install.sh [--prefix DIR] [--destdir DIR] [--doveadm]      into /usr/local; once more for an upgrade
#   sh install.sh uninstall [--prefix DIR] [--destdir DIR]
#
# docs/install.md says what is put where, and what stays.
set -e
here=$(cd "$(dirname "$0")" && pwd)
what=install
case ${1-} in
install | uninstall) what=$1; shift;;
esac
exec "$here/runtime/node" "$here/scripts/install.mjs" "$what" "$@"
