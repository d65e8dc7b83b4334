# SPDX-License-Identifier: GPL-2.0
# Trees as git objects. The base commit is the source as it came; what the files in this repository
# make of it, and what patches/ make of it, are two more tree objects. They are made in a temporary
# index, without a checkout, so that comparing them is cheap and a checkout touches only what differs.

AUTHOR='bus1 developers'
EMAIL=bus1@localhost
EPOCH='2026-01-01T00:00:00+0000'

kgit() {
	git -C "$LINUX" "$@"
}

# as_series COMMAND...: with the author and the date that every made commit has.
as_series() {
	GIT_AUTHOR_NAME=$AUTHOR GIT_AUTHOR_EMAIL=$EMAIL GIT_AUTHOR_DATE=$EPOCH \
	GIT_COMMITTER_NAME=$AUTHOR GIT_COMMITTER_EMAIL=$EMAIL GIT_COMMITTER_DATE=$EPOCH \
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null "$@"
}

# The files of this repository that belong into a kernel tree, tracked or not yet.
tree_files() {
	(cd "$TOP" && git ls-files -co --exclude-standard kernel/ipc include tools Documentation |
		while read -r f; do [ ! -e "$f" ] || echo "$f"; done)
}

# in_tree PATH: where a file of this repository lies in a kernel tree.
in_tree() {
	sed 's|^kernel/ipc/|ipc/|'
}

# index_new: a temporary index that holds the base; index_done throws it away. With ONLY_TOUCHED=1 it holds
# only those files of the base that an edit or a patch changes: all that a comparison needs, and much faster.
index_new() {
	GIT_INDEX_FILE=$(mktemp "$LINUX/.git/index.XXXXXX")
	export GIT_INDEX_FILE
	rm -f "$GIT_INDEX_FILE"
	if [ -n "${ONLY_TOUCHED:-}" ]; then
		kgit ls-tree -r base -- $(sed -n 's|^--- a/||p' "$TOP"/kernel/edits/*.diff "$TOP"/patches/*.patch 2>/dev/null |
			sort -u) | kgit update-index --index-info
	else
		kgit read-tree base
	fi
}

index_done() {
	rm -f "$GIT_INDEX_FILE"
	unset GIT_INDEX_FILE
}

# index_files: reads repository paths and puts these files into the index.
index_files() {
	list=$(mktemp)
	cat >"$list"
	[ ! -s "$list" ] || (
		cd "$TOP"
		while read -r f; do
			[ -x "$f" ] && echo 100755 || echo 100644
		done <"$list" >"$list.mode"
		sed "s|^|$TOP/|" "$list" | kgit hash-object -w --no-filters --stdin-paths >"$list.hash"
		in_tree <"$list" >"$list.path"
		paste -d' ' "$list.mode" "$list.hash" "$list.path" | sed 's/ \([^ ]*\)$/\t\1/' |
			kgit update-index --index-info
		rm -f "$list.mode" "$list.hash" "$list.path"
	)
	rm -f "$list"
}

# index_edit DIFF: applies edits to existing files. One line of context is enough for them on purpose,
# so that they fit any 6.12.y.
index_edit() {
	kgit apply --cached -C1 --whitespace=nowarn "$1" ||
		die "$1 does not apply to the base tree; mend the edit"
}

# index_trim: the Makefile and the Kconfig in this repository are the final ones. In an index that has not
# all of the sources yet, drop the objects without a source, and the option of the suites without a suite.
index_trim() {
	have=$(kgit ls-files 'ipc/bus1/*.c' | sed 's|.*/||; s|c$|o|' | xargs)
	index_filter ipc/bus1/Makefile awk -v have=" $have " \
		'!/\.o$/ || index(have, " " $NF " ")'
	case $have in
	*_test.o*) ;;
	*) index_filter ipc/bus1/Kconfig awk '/^config /{off = /_KUNIT_TEST$/}
		/^$/ {blank = blank "\n"; next}
		!off {printf "%s%s\n", blank, $0; blank = ""}' ;;
	esac
}

# index_filter PATH COMMAND...: passes a file of the index through a filter.
index_filter() {
	path=$1
	shift
	kgit ls-files --error-unmatch "$path" >/dev/null 2>&1 || return 0
	hash=$(kgit cat-file blob ":$path" | "$@" | kgit hash-object -w --stdin)
	kgit update-index --cacheinfo "100644,$hash,$path"
}

# tree_of_files: prints the tree that the files here make of the base.
tree_of_files() {
	index_new
	for d in "$TOP"/kernel/edits/*.diff; do
		index_edit "$d"
	done
	tree_files | index_files
	index_trim
	kgit write-tree
	index_done
}

# tree_of_patches: prints the tree that patches/ make of the base. What `git am` only warns of is an error.
tree_of_patches() {
	index_new
	for p in "$TOP"/patches/*.patch; do
		[ -e "$p" ] || die "no patches in patches/: run scripts/regen"
		as_series git -C "$LINUX" apply --cached --whitespace=error-all "$p" || die "$p does not apply cleanly to the base tree"
	done
	kgit write-tree
	index_done
}
