# SPDX-License-Identifier: GPL-2.0
# A QEMU machine, with KVM where that works.
KARCH=x86_64
KUSERARCH=x86_64
KSMP=yes
KTARGETS=bzImage
KIMAGE=arch/x86/boot/bzImage
KABIS='i386 x32'

# abi_cc ABI: the compiler for programs of another ABI that this kernel runs.
abi_cc() {
	case $1 in
	i386) echo i686-linux-gnu-gcc ;;
	x32) echo x86_64-linux-gnux32-gcc ;;
	esac
}

# kvm_works: a device node is no proof; boot this very kernel once, with a time limit, and remember.
kvm_works() {
	if [ -n "${KVM:-}" ]; then
		[ "$KVM" = 1 ]
		return
	fi
	if [ ! -f "$BUILD/kvm" ]; then
		echo no >"$BUILD/kvm"
		[ ! -w /dev/kvm ] || ! kvm_probe || echo yes >"$BUILD/kvm"
		note "KVM works here: $(cat "$BUILD/kvm") (remembered in build/kvm)"
	fi
	[ "$(cat "$BUILD/kvm")" = yes ]
}

# kvm_probe: a kernel that gets as far as missing its root file system has run.
kvm_probe() {
	2>/dev/null timeout -k 1 20 qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults -display none -no-reboot \
		-kernel "$kernel" -append 'console=ttyS0 panic=-1' -serial stdio </dev/null 2>&1 |
		grep -q 'Kernel panic'
}

domain_prepare() {
	command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing: run scripts/setup"
	if kvm_works; then
		accel='-accel kvm -cpu host'
		note "QEMU with KVM"
	else
		accel='-accel tcg,thread=multi -cpu max'
		note "QEMU with TCG (no KVM here)"
	fi
}

domain_boot() {
	if [ -n "$shell" ]; then
		set -- -serial mon:stdio
	else
		set -- -chardev "file,id=log,path=$klog" -serial chardev:log -device virtio-serial-pci \
			-chardev "file,id=out,path=$run/out,append=on" -device virtserialport,chardev=out,name=out \
			-chardev "file,id=status,path=$run/status,append=on" \
			-device virtserialport,chardev=status,name=status
	fi
	[ -z "${SHARE:-}" ] || set -- "$@" -virtfs "local,path=$SHARE,mount_tag=share,security_model=none"
	# Processors come from the MP table and interrupts of PCI devices are messages: interpreting ACPI's
	# tables for that takes half a minute under KASAN, and is aborted on a loaded host.
	exec qemu-system-x86_64 $accel -m "$mem" -smp "$cpus" -nodefaults -display none -no-reboot \
		-kernel "$kernel" -initrd "$run/initramfs" \
		-append "console=ttyS0 panic=-1 oops=panic pci=noacpi ${shell:+quiet} $append" "$@"
}

domain_kill() {
	kill -9 "$guest"
}

domain_log() {
	:
}
