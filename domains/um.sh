# SPDX-License-Identifier: GPL-2.0
# User Mode Linux: the kernel is an ordinary program of the host.
KARCH=um
KUSERARCH=x86_64
KSMP=no
KTARGETS=linux
KIMAGE=linux
KABIS=

domain_prepare() {
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
