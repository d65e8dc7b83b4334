#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The demonstration as a test, and what it does not show: what the examples do
# when one of them dies.

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
failed=0

check() {
	name=$1
	shift
	n=$((n + 1))
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $n $name"
	else
		sed 's/^/# /' "$dir/out"
		echo "not ok $n $name"
		failed=1
	fi
}

# One of three is killed while it cannot write: nobody reads more than a line of
# the pipe, which holds less than it has to say. The others get everything.
killed_subscriber() {
	publish --subscribers 3 --count 5000 A sh -c '
		mkfifo '"$dir"'/lines
		subscribe >'"$dir"'/one & one=$!
		subscribe >'"$dir"'/two & two=$!
		subscribe >'"$dir"'/lines & three=$!
		exec 3<'"$dir"'/lines
		read -r line <&3
		kill -9 $three
		wait $one && wait $two' >"$dir/said" || return 1
	cat "$dir/said"
	grep -q 'lost a subscriber' "$dir/said" &&
		[ "$(wc -l <"$dir/one")" = 5000 ] &&
		cmp "$dir/one" "$dir/two"
}

# The file is closed although nobody said so.
killed_reader() {
	head -c 100000 /bin/busybox >"$dir/file"
	mkfifo "$dir/holding"
	filed --root "$dir" sh -c '
		fcat --hold file >'"$dir"'/holding & holder=$!
		read -r line <'"$dir"'/holding
		kill -9 $holder
		wait $holder
		fcat file' >"$dir/copy" || return 1
	[ "$(grep -ac 'closed file' "$dir/copy")" = 2 ]
}

# Who reads is told, and does not wait.
killed_server() {
	mkfifo "$dir/held"
	filed --root "$dir" --socket "$dir/socket" & server=$!
	fcat --socket "$dir/socket" --hold file >"$dir/held" & holder=$!
	read -r line <"$dir/held"
	kill -9 $server
	wait $holder
	[ $? = 3 ]
}

no_such_file() {
	filed --root "$dir" fcat nothing 2>"$dir/said"
	[ $? = 1 ] && grep -q 'No such file' "$dir/said"
}

no_way_out() {
	filed --root "$dir" fcat ../etc/passwd 2>"$dir/said"
	[ $? = 1 ] && grep -q 'Permission denied' "$dir/said"
}

empty_file() {
	: >"$dir/empty"
	filed --root "$dir" fcat empty >"$dir/said" &&
		grep -q 'closed empty' "$dir/said"
}

# with NAME VALUE COMMAND...: with a limit of the system lowered.
with() {
	limit=/proc/sys/$1
	old=$(cat "$limit")
	echo "$2" >"$limit" || return 1
	shift 2
	"$@"
	status=$?
	echo "$old" >"$limit"
	return $status
}

# 128 KiB for a peer: a reader asks for pieces of 4 KiB.
read_whole_file() {
	head -c 1000000 /bin/busybox >"$dir/large"
	filed --root "$dir" sh -c "fcat large >'$dir/copy'" &&
		cmp "$dir/large" "$dir/copy"
}

# 25 messages for a peer, 12 of them from one sender, who would send 32 ahead.
publish_to_three() {
	publish --subscribers 3 --count 300 A sh -c '
		subscribe >'"$dir"'/one & one=$!
		subscribe >'"$dir"'/two & two=$!
		subscribe >'"$dir"'/three & three=$!
		wait $one && wait $two && wait $three' || return 1
	[ "$(wc -l <"$dir/one")" = 300 ] && cmp "$dir/one" "$dir/two" &&
		cmp "$dir/one" "$dir/three"
}

says_which_limit() {
	filed --root "$dir" true 2>"$dir/said" && return 1
	grep -q 'no room within user.max_bus1_peers' "$dir/said"
}

says_hello() {
	[ "$(hello)" = 'hello, node 8' ]
}

echo 'TAP version 13'
check examples.hello says_hello
check demo.all_of_it demo.sh
check demo.as_another_user su nobody -s /bin/sh -c "PATH=$PATH demo.sh"
check examples.reader_with_little_memory \
	with kernel/bus1/max_inflight_kbytes 65536 read_whole_file
check examples.subscribers_with_short_queues \
	with kernel/bus1/max_slices 12800 publish_to_three
check examples.killed_reader_lets_go_of_the_file killed_reader
check examples.killed_server_is_noticed killed_server
check examples.killed_subscriber_holds_up_nobody killed_subscriber
check examples.file_that_is_not_there no_such_file
check examples.file_outside_the_directory no_way_out
check examples.empty_file empty_file
check examples.peer_that_has_no_room \
	with user/max_bus1_peers 0 says_which_limit
echo "1..$n"
exit $failed
