# SPDX-License-Identifier: GPL-2.0
# What every script here shares: where things are, how to speak, how to wait.
# Sourced, never run. A script sets $0's directory right by being run from anywhere.

set -eu
# What a make above, or a habit of the user, says about other builds is not meant for these.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH CROSS_COMPILE KBUILD_OUTPUT
TOP=$(cd "$(dirname "$0")/.." && pwd)
SCRIPTS=$TOP/scripts
. "$SCRIPTS/treelib.sh"

# Everything that is made lies below $BUILD; a tree of the user's own gets a place of its own there.
BUILD=${BUILD:-$TOP/build}
if [ -n "${KSRC:-}" ]; then
	KSRC=$(cd "$KSRC" 2>/dev/null && pwd) || {
		echo "KSRC=$KSRC: no such directory; give the top of a Linux source tree" >&2
		exit 1
	}
	BUILD=$BUILD/ksrc-$(basename "$KSRC")-$(printf %s "$KSRC" | cksum | cut -d' ' -f1)
fi
LINUX=$BUILD/linux
LOG=$BUILD/log
DOMAIN=${DOMAIN:-x86_64}
DEBUG=${DEBUG:-}
[ "$DEBUG" != 0 ] || DEBUG=
V=${V:-0}
PREEMPT=${PREEMPT:-}
case $PREEMPT in
0) PREEMPT='' ;;
'' | rt) ;;
*) PREEMPT=1 ;;
esac
VARIANT=$DOMAIN${PREEMPT:+-preempt${PREEMPT#1}}${DEBUG:+-debug}
OUT=$BUILD/$VARIANT
# Programs do not depend on how the kernel that runs them was configured.
PROGRAMS=$BUILD/$DOMAIN/user
JOBS=${JOBS:-$(nproc)}

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

note() {
	printf '%s\n' "== $*" >&2
}

# The text of --help is the comment at the head of the script.
help() {
	sed -n '3,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$0"
	exit 0
}

# load_domain: a domain is one file that says how to build and how to boot it. It may have a domain_ready of its own,
# which sets KMORE, one more argument for make; or, where the domain cannot work, LACKS, the reason, and fails.
load_domain() {
	KMORE='' LACKS=''
	domain_ready() { :; }
	[ -f "$TOP/domains/$DOMAIN.sh" ] ||
		die "DOMAIN=$DOMAIN: expected one of: $(cd "$TOP/domains" && ls *.sh | sed 's/\.sh$//' | xargs)"
	. "$TOP/domains/$DOMAIN.sh"
	KABIS=${ABIS:-$KABIS}
	[ "$KABIS" != none ] || KABIS=
}

# progress LOG PID [MEASURE...]: shows how far a job is, in one line that changes or in a log every 15 seconds, until PID
# ends; its status is returned. MEASURE LOG prints how many of its parts are done, how many there are (0: nobody knows),
# and what they are.
progress() {
	log=$1 pid=$2
	shift 2
	start=$(date +%s) first='' shown=$start
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		show_progress "$(date +%s)" $("${@:-:}" "$log")
	done
	[ ! -t 2 ] || printf '\r%70s\r' '' >&2
	wait "$pid"
}

# show_progress NOW [DONE ALL WHAT]: tells the time that is left when ten seconds have shown how long a part takes.
show_progress() {
	now=$1 show='' left=''
	if [ $# = 4 ]; then
		show="$2 $4, "
		if [ "$3" -gt 0 ] && [ "$2" -le "$3" ]; then
			show="$(($2 * 100 / $3)) %: $2 of $3 $4, "
			[ -n "$first" ] || [ "$2" = 0 ] || first=$2 first_at=$now
			[ "$2" = "$3" ] || [ "$2" -le "${first:-$2}" ] || [ $((now - first_at)) -lt 10 ] ||
				left=$((($3 - $2) * (now - first_at) / ($2 - first)))
		fi
	fi
	[ "${left:-0}" -lt 120 ] && unit=s || unit=min left=$(((left + 30) / 60))
	show="   $show$((now - start)) s${left:+, about $left $unit left}"
	if [ -t 2 ]; then
		printf '\r%-70s' "$show" >&2
	elif [ $((now - shown)) -ge 15 ]; then
		echo "$show" >&2
		shown=$now
	fi
}

# wait_either SLEEPER PID: returns when either has ended, and leaves no sleeper behind.
wait_either() {
	while kill -0 "$1" 2>/dev/null; do
		if ! kill -0 "$2" 2>/dev/null; then
			kill "$1" 2>/dev/null || :
			break
		fi
		sleep 0.2
	done
	wait "$1" 2>/dev/null || :
}

# logged NAME COMMAND...: runs the command with its output in a log, or on the terminal with V=1. $measure is for progress.
measure=
logged() {
	mkdir -p "$LOG"
	log=$LOG/$1.log
	: >"$log"
	shift
	if [ "$V" != 0 ]; then
		{ "$@" 2>&1 || echo "*** status $?"; } | tee "$log"
		! tail -n 1 "$log" | grep -q '^\*\*\* status' || die "failed: $*"
		return
	fi
	"$@" >"$log" 2>&1 &
	progress "$log" "$!" $measure || {
		grep -E -A5 'error:|Error |undefined reference|\*\*\*' "$log" | head -40 >&2 || :
		die "failed: $*
the whole log: $log"
	}
}
