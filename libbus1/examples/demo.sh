#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# demo.sh: shows bus1 at work, says in plain words what happens, compares all
# results, and ends with status 1 at the first that is not as it should be.
#
# Needs the examples in $PATH. Calls itself with `files` or `news` and a directory
# as the command of a server, which is how the clients inherit a handle. What the
# command says goes to descriptor 3, past the server's own words.

set -u
say() { printf '   %s\n' "$*"; }
title() { printf '\n== %s\n' "$*"; }
fail() {
	printf 'demo: FAILED: %s\n' "$*"
	exit 1
}

sum() { sha256sum <"$1" | cut -c 1-64; }

# same A B: the two files have the same sha256, and something is in them.
same() {
	[ -s "$1" ] || fail "$1 is empty"
	[ "$(sum "$1")" = "$(sum "$2")" ] || fail "$1 and $2 differ"
	say "sha256 $(sum "$1" | cut -c 1-16)..., $(wc -c <"$1") bytes: the same"
}

read_files() {
	title 'A client inherits a handle to the server and asks for "program" by name'
	fcat program >"$dir/copy1" || fail 'fcat program'
	same "$dir/files/program" "$dir/copy1"

	title 'A stranger passes its peer over an AF_UNIX socket, gets a handle, asks for "symbols"'
	fcat --socket "$dir/filed" symbols >"$dir/copy2" || fail 'fcat --socket'
	same "$dir/files/symbols" "$dir/copy2"

	title 'A client reads 700000 bytes of "program" and passes the handle on; another reads the rest'
	fcat --take "$dir/friend" >"$dir/part2" & friend=$!
	fcat --length 700000 --give "$dir/friend" program >"$dir/part1" ||
		fail 'fcat --give'
	wait "$friend" || fail 'fcat --take'
	[ "$(wc -c <"$dir/part1")" = 700000 ] || fail 'the first part'
	cat "$dir/part1" "$dir/part2" >"$dir/copy3"
	same "$dir/files/program" "$dir/copy3"

	title 'A client gets the open file itself, as a descriptor in a message'
	fcat --descriptor symbols >"$dir/copy4" || fail 'fcat --descriptor'
	same "$dir/files/symbols" "$dir/copy4"

	title 'A client holds "program" while another has the server take it back'
	mkfifo "$dir/holding"
	fcat --hold program >"$dir/holding" & holder=$!
	read -r line <"$dir/holding" || fail 'fcat --hold'
	say "the first says: $line"
	fcat --revoke program || fail 'fcat --revoke'
	wait "$holder"
	[ $? = 3 ] || fail 'the holder was not told that its handle is dead'
	say 'the holder was told that its handle is dead'
}

show_files() {
	mkdir "$dir/files"
	cp /bin/busybox "$dir/files/program" || fail 'no /bin/busybox'
	if [ -f /System.map ]; then
		cp /System.map "$dir/files/symbols"
	else
		cat /proc/kallsyms >"$dir/files/symbols"
	fi
	filed --root "$dir/files" --socket "$dir/filed" -- \
		sh "$0" files "$dir" 3>&1 >"$dir/log" || {
		cat "$dir/log"
		fail 'the file server'
	}
	title 'What the server said meanwhile'
	sed 's/^/   /' "$dir/log"
	for name in program symbols; do
		grep -q "closed $name, nobody holds it any more" "$dir/log" ||
			fail "the server did not learn that nobody holds $name"
	done
	grep -q 'took program back from everybody' "$dir/log" ||
		fail 'the server did not take the file back'
}

# Run by publisher A, which runs below publisher B.
read_news() {
	for i in 1 2 3 4 5 6 7 8; do
		subscribe --socket "$dir/B" >"$dir/news.$i" \
			2>"$dir/summary.$i" &
		eval "pid$i=\$!"
	done
	for i in 1 2 3 4 5 6 7 8; do
		eval "wait \$pid$i" || {
			cat "$dir/summary.$i"
			fail "subscriber $i"
		}
	done
}

show_news() {
	title "Two publishers race: $count items each, to eight subscribers in processes of their own"
	say 'The subscribers inherit a handle to A and ask for one to B at its socket.'
	publish --socket "$dir/B" --subscribers 8 --count $count B \
		publish --subscribers 8 --count $count A \
		sh "$0" news "$dir" >"$dir/log" || {
		cat "$dir/log"
		fail 'the publishers'
	}
	sed 's/^/   /' "$dir/log"
	cat "$dir"/summary.? | sed 's/^/   /'
	[ "$(wc -l <"$dir/news.1")" = $((2 * count)) ] ||
		fail 'items are missing'
	[ "$(cat "$dir"/summary.? | sort -u | wc -l)" = 1 ] ||
		fail 'the checksums differ'
	for i in 2 3 4 5 6 7 8; do
		cmp "$dir/news.1" "$dir/news.$i" ||
			fail 'the subscribers saw different sequences'
	done
	changes=$(sed 's/.*changed publisher \([0-9]*\) times/\1/' "$dir/summary.1")
	[ "$changes" -ge 2 ] || fail 'the publishers did not race'
	say 'eight times the same sequence'
}

count=500
case ${1:-} in
files) dir=$2 && read_files >&3 ;;
news) dir=$2 && read_news ;;
*)
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	show_files
	show_news
	title "Shown: files served as handles that were passed on, given as descriptors and taken back; two publishers, eight subscribers, one order"
	;;
esac
