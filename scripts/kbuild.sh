# SPDX-License-Identifier: GPL-2.0
# How the kernel's own build is called: for the tree $LINUX, in $OUT, for the domain that is loaded.
# Sourced, never run.

# Builds of another checkout, or after a clean, come from the compiler cache.
if command -v ccache >/dev/null; then
	CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=time_macros
	export CCACHE_BASEDIR CCACHE_NOHASHDIR CCACHE_SLOPPINESS
	CC='ccache gcc'
else
	CC=gcc
fi

# The programs of every domain of one architecture see the same headers, those of the patched tree.
HEADERS=$BUILD/headers-$KUSERARCH

# kbuild is told who, when, where and how often, so that the same sources give the same kernel.
kmake() {
	make -C "$LINUX" O="$OUT" ARCH="$KARCH" CC="$CC" HOSTCC="$CC" LOCALVERSION= V="$V" -j"$JOBS" \
		KBUILD_BUILD_USER=bus1 KBUILD_BUILD_HOST=localhost KBUILD_BUILD_TIMESTAMP="$EPOCH" KBUILD_BUILD_VERSION=1 ${KMORE:+"$KMORE"} "$@"
}

# The fragments that make this kernel, in the order in which they override each other.
fragments() {
	ls "$TOP/domains/common.config" "$TOP/domains/$DOMAIN.config"
	[ -z "$DEBUG" ] || ls "$TOP/domains/debug.config" "$TOP/domains/$DOMAIN-debug.config"
	# What DEBUG=1 checks includes where a task may be preempted.
	case ${PREEMPT:-$DEBUG} in
	'') ;;
	rt) ls "$TOP/domains/preempt-rt.config" ;;
	*) ls "$TOP/domains/preempt.config" ;;
	esac
}

# config_make: a configuration again only when the fragments or the tree's Kconfig files changed.
config_make() {
	mkdir -p "$OUT"
	fragments | xargs cat >"$OUT/fragments.new"
	kgit ls-files -s '*Kconfig*' | sha256sum >>"$OUT/fragments.new"
	if [ -f "$OUT/.config" ] && cmp -s "$OUT/fragments.new" "$OUT/fragments"; then
		return
	fi
	sed '$d' "$OUT/fragments.new" >"$OUT/fragments.config"
	logged "$VARIANT-config" kmake KCONFIG_ALLCONFIG="$OUT/fragments.config" allnoconfig
	config_check
	mv "$OUT/fragments.new" "$OUT/fragments"
}

# config_check: a fragment that Kconfig dropped silently would make a test skip silently.
config_check() {
	missing=$(grep -h '^CONFIG_.*=' "$OUT/fragments.config" | grep -vxF -f "$OUT/.config" || :)
	[ -z "$missing" ] || die "Kconfig did not take these lines of domains/ (a dependency is missing):
$missing"
}

# objects: lists the objects of this kernel in $OUT/objects, asking kbuild when the configuration changed; and in $OUT/objects.now
# with a word that says which of them are there already, current or not.
objects() {
	[ "$OUT/objects" -nt "$OUT/.config" ] ||
		kmake -s --eval="bus1-objects: ; @\$(MAKE) -s -f $SCRIPTS/objects.mk obj=. need-builtin=1 need-modorder=1 objects" \
			bus1-objects 2>/dev/null | grep '\.o$' >"$OUT/objects" || :
	while read -r o; do
		[ -e "$OUT/$o" ] && echo "old $o" || echo "new $o"
	done <"$OUT/objects" >"$OUT/objects.now"
}

# objects_done LOG: how many of them are built, or were there and lie before the least of the last eight that are built: kbuild
# has passed those. What is linked after them is small.
objects_done() {
	awk '
		FILENAME == ARGV[1] {place[$2] = ++n; old[n] = $1 == "old"; next}
		/^  (CC|AS) / && $2 in place && !built[place[$2]]++ {done++; last[done % 8] = place[$2]}
		/^  AR +vmlinux\.a$/ {all = 1}
		END {
			least = done ? n : 0
			for (i in last)
				if (last[i] < least)
					least = last[i]
			for (i = 1; i < least; i++)
				done += old[i] && !built[i]
			print all ? n : done + 0, n + 0, "objects"
		}' "$OUT/objects.now" "$1"
}
