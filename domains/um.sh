# SPDX-License-Identifier: GPL-2.0
# User Mode Linux: the kernel is an ordinary program of the host.
KARCH=um
KUSERARCH=x86_64
KSMP=no
KTARGETS=linux
KIMAGE=linux
KABIS=

# xstate: sets XSTATE to the size of the registers that ptrace has of a process of this host, beyond the general ones.
xstate() {
	probe=$BUILD/um-xstate
	[ "$probe" -nt "$TOP/domains/um-xstate.c" ] || {
		mkdir -p "$BUILD"
		gcc -O2 -o "$probe.$$" "$TOP/domains/um-xstate.c" && mv "$probe.$$" "$probe" || die "no compiler: run scripts/setup"
	}
	XSTATE=${UM_XSTATE:-$("$probe" 2>&1)} || :
	case $XSTATE in
	'' | 0 | *[!0-9]*) LACKS="User Mode Linux needs the registers of other processes, and ptrace does not give them here ($XSTATE)" && return 1 ;;
	esac
}

# That size is a constant in UML up to 6.12, 2,696: too small for a processor with AMX, where the guest's first process would
# be a panic. All that depends on it has it from include/generated/user_constants.h, which kbuild makes with a sed
# script. We give it the tree's own script with one command before, which puts the number of this host there. kbuild sees
# the header change, so what was built on another host is built again.
domain_ready() {
	xstate || return 1
	"$SCRIPTS/tree" --base
	constant=$(sed -n 's/.*(HOST_FP_SIZE, \([0-9]*\));$/\1/p' "$LINUX/arch/x86/um/user-offsets.c")
	[ -n "$constant" ] || return 0
	[ "$XSTATE" -gt "$constant" ] || [ -n "${UM_XSTATE:-}" ] || return 0
	own=$(sed -n '/^define sed-offsets$/,/^endef$/{//!{s/\\$//;p}}' "$LINUX/scripts/Makefile.lib" | tr -d '\n')
	[ -n "$own" ] || {
		LACKS="processes here have $XSTATE bytes of registers, this tree's User Mode Linux takes $constant, and its scripts/Makefile.lib has no sed-offsets to change that"
		return 1
	}
	KMORE="sed-offsets='s/\\(->HOST_FP_SIZE \\)[^ ]*/\\1$((XSTATE / 8))/' -e $own"
}

# A kernel that was built for less, on another host, would panic.
domain_prepare() {
	xstate || die "$LACKS"
	longs=$(sed -n 's/^#define HOST_FP_SIZE \([0-9]*\).*/\1/p' "$OUT/include/generated/user_constants.h")
	[ "${longs:-$XSTATE}" -ge "$((XSTATE / 8))" ] ||
		die "$kernel was built for $((longs * 8)) bytes of registers, processes here have $XSTATE: run scripts/build kernel"
	note "User Mode Linux"
}

# The guest's processes are children of the kernel's; a group of their own lets one kill end them all.
domain_boot() {
	set -- "$kernel" "mem=${mem}M" "initrd=$run/initramfs" "uml_dir=$run" umid=guest con0=fd:0,fd:1 con=null \
		panic=-1 oops=panic "bus1.host=$run" "bus1.share=${SHARE:-}" $append
	if [ -n "$shell" ]; then
		"$@" quiet
	else
		exec setsid "$@"
	fi
}

domain_kill() {
	kill -9 -- "-$guest"
}

# Its console is its standard output.
domain_log() {
	cp "$run/host" "$klog"
}
