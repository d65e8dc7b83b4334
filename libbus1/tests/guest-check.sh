#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# guest-check.sh: boots the guest and runs there what `make guest-tests` has
# built. Run by `make check`, which sets O.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../../scripts

SHARE=$O/guest "$scripts/boot" --time 600 -- '
status=0
PATH=/share:$PATH
for test in /share/test-*; do
	echo "# program ${test##*/}"
	"$test" || status=1
done
exit $status'
