#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# host-check.sh: the tests that need no kernel with bus1, as TAP. Run by
# `make host-check`, which sets O, CC, CXX and MAKE.

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$here/..
uapi=$top/../include/uapi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0
failed=0

# check NAME COMMAND...: one test; what the command says is shown when it fails.
check() {
	name=$1
	shift
	n=$((n + 1))
	if "$@" >"$work/out" 2>&1; then
		echo "ok $n $name"
	else
		sed 's/^/# /' "$work/out"
		echo "not ok $n $name"
		failed=1
	fi
}

skip() {
	n=$((n + 1))
	echo "ok $n $1 # SKIP $2"
}

# The header as headers_install leaves it: the guard has lost its prefix.
mkdir -p "$work/exported/linux"
sed 's/_UAPI_LINUX_BUS1_H/_LINUX_BUS1_H/' "$uapi/linux/bus1.h" \
	>"$work/exported/linux/bus1.h"

# compile LANGUAGE DIRECTORY HEADER...: a program that includes these, in order.
compile() {
	language=$1 directory=$2
	shift 2
	for header; do
		echo "#include <$header>"
	done >"$work/test.$language"
	echo 'int test(void) { return sizeof(struct bus1_recv_args) == 112 &&
		BUS1_HANDLE_INVALID == ~0ULL && bus1_supported(); }' \
		>>"$work/test.$language"
	if [ "$language" = c ]; then
		set -- $CC -std=c99
	else
		set -- $CXX -std=c++11
	fi
	"$@" -Wall -Wextra -Wpedantic -Werror -Wno-missing-declarations \
		-I"$O/include" -I"$directory" -c -o "$work/test.o" \
		"$work/test.$language"
}

# C++ links the calls by their C names.
link_cxx() {
	cat >"$work/link.cc" <<-END
	#include <bus1.h>
	int main() { return bus1_supported() && !bus1_pool_new(-1); }
	END
	$CXX -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$O/include" \
		-o "$work/link" "$work/link.cc" -L"$O" -lbus1 -Wl,-rpath,"$O" &&
		"$work/link"
}

# The library is C that old and new compilers take, without extensions hidden.
compile_library() {
	for f in calls pool replies; do
		$CC -std=$1 -Wall -Wextra -Werror -D_GNU_SOURCE -I"$O/include" \
			-c -o "$work/$f.o" "$top/$f.c" || return 1
	done
}

symbols_of_map() {
	sed -n 's/^\t\(bus1_[a-z0-9_]*\);$/\1/p' "$top/libbus1.map" | sort
}

exports_are_the_map() {
	nm -D --defined-only "$O/libbus1.so" |
		sed -n 's/.* T \(bus1_[a-z0-9_]*\)@@LIBBUS1_1$/\1/p' | sort \
		>"$work/exported.txt"
	symbols_of_map >"$work/map.txt"
	[ -s "$work/map.txt" ] && diff "$work/map.txt" "$work/exported.txt"
}

nothing_else_is_exported() {
	! nm -D --defined-only "$O/libbus1.so" |
		grep -v '@@LIBBUS1_1$\| A LIBBUS1_1$'
}

declarations_are_the_map() {
	sed -n 's/^[a-z].*[ *]\(bus1_[a-z0-9_]*\)(.*/\1/p' "$top/bus1.h" |
		sort >"$work/declared.txt"
	symbols_of_map | diff - "$work/declared.txt"
}

# Neither data that is written, nor code that runs unasked.
no_globals() {
	nm "$O/libbus1.a" | grep -E ' [BbDdC] ' && return 1
	! readelf -SW "$O/calls.o" "$O/pool.o" "$O/replies.o" |
		grep -E '\.(init|fini|ctors|dtors|preinit)'
}

soname() {
	readelf -d "$O/libbus1.so" | grep -q 'soname: \[libbus1.so.1\]'
}

installs() {
	$MAKE -s -C "$top" O="$O" install DESTDIR="$work/dest" PREFIX=/usr \
		LIBDIR=/usr/lib/test || return 1
	(cd "$work/dest/usr" && find . ! -type d | sort) >"$work/installed.txt"
	diff "$work/installed.txt" - <<-END
	./include/bus1-abi.h
	./include/bus1.h
	./lib/test/libbus1.a
	./lib/test/libbus1.so
	./lib/test/libbus1.so.1
	./lib/test/libbus1.so.1.0.0
	./lib/test/pkgconfig/libbus1.pc
	END
}

# What was installed is enough to build a program with.
use_installed() {
	lib=$work/dest/usr/lib/test
	grep -qx 'libdir=/usr/lib/test' "$lib/pkgconfig/libbus1.pc" || return 1
	cat >"$work/use.c" <<-END
	#include <bus1.h>
	int main(void) { return bus1_supported() && !bus1_pool_new(-1); }
	END
	$CC -I"$work/dest/usr/include" -o "$work/use" "$work/use.c" \
		-L"$lib" -lbus1 -Wl,-rpath,"$lib" && "$work/use" &&
		$CC -I"$work/dest/usr/include" -o "$work/use" "$work/use.c" \
			"$lib/libbus1.a" && "$work/use"
}

# The loops that README.md shows are C.
readme_compiles() {
	{
		cat <<-END
		#include <bus1.h>
		void use(const void *data, size_t n);
		void work(const struct bus1_msg *msg, struct bus1_payload *answer);
		int on_signal(struct bus1_pool *pool, struct bus1_msg *msg,
			      void *context);
		int ask(struct bus1_pool *pool, uint64_t server,
			struct iovec *question);
		void serve(struct bus1_pool *pool);
		END
		sed -n '/^```c$/,/^```$/{/^```/!p}' "$top/README.md"
	} >"$work/readme.c"
	grep -q bus1_pool_reply_recv "$work/readme.c" &&
		$CC -std=gnu11 -Wall -Wextra -Werror -I"$O/include" -c \
			-o "$work/readme.o" "$work/readme.c"
}

abi_is_the_kernels() {
	sed '/^#if\|^#define _\(UAPI_\)\?LINUX_BUS1_H/d' \
		"$O/include/bus1-abi.h" >"$work/a"
	sed '/^#if\|^#define _UAPI_LINUX_BUS1_H/d' "$uapi/linux/bus1.h" \
		>"$work/b"
	diff "$work/a" "$work/b"
}

run_shared() {
	"$O/tests/test-shared" >"$work/shared.tap"
	status=$?
	cat "$work/shared.tap"
	return $status
}

examples_help() {
	for p in filed fcat publish subscribe; do
		"$O/examples/$p" --help | grep -q "^usage: $p" || return 1
		"$O/examples/$p" --no-such-option 2>/dev/null && return 1
	done
	return 0
}

echo 'TAP version 13'
languages=c
if command -v "${CXX%% *}" >/dev/null; then
	languages='c cc'
	check headers.cxx_links_the_calls link_cxx
else
	skip headers.cxx_links_the_calls 'no C++ compiler'
fi
for language in $languages; do
	check "headers.$language.alone" compile $language "$work" bus1.h
	for which in "$uapi" "$work/exported"; do
		kind=$([ "$which" = "$uapi" ] && echo uapi || echo exported)
		check "headers.$language.before_$kind" \
			compile $language "$which" bus1.h linux/bus1.h
		check "headers.$language.after_$kind" \
			compile $language "$which" linux/bus1.h bus1.h
	done
done
check headers.abi_is_the_kernels abi_is_the_kernels
check library.compiles_as_gnu99 compile_library gnu99
check library.compiles_as_gnu17 compile_library gnu17
check library.exports_are_the_map exports_are_the_map
check library.nothing_else_is_exported nothing_else_is_exported
check library.declarations_are_the_map declarations_are_the_map
check library.has_no_globals_and_no_constructors no_globals
check library.soname soname
check library.installs installs
check library.what_is_installed_can_be_used use_installed
check library.every_symbol_answers run_shared
check examples.help examples_help
check examples.readme_compiles readme_compiles
echo "1..$n"
exit $failed
