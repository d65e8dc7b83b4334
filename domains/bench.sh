# SPDX-License-Identifier: GPL-2.0
# The machine that is measured: QEMU's, with a kernel of its own (domains/bench.config).
#
# MODE=icount  one processor whose clock advances one nanosecond per instruction, the same in every run
# MODE=wall    as fast as the host can: KVM where it works
# COUNTS=FILE  the plugin that scripts/bench makes counts what is done to memory, into FILE; with MODE=icount
# NOERMS=1     a processor without fast `rep movsb`: copies are counted by the word, not by the byte
. "$TOP/domains/x86_64.sh"
KABIS=

domain_prepare() {
	command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing: run scripts/setup"
	cpu=max${NOERMS:+,-erms}
	if [ "${MODE:-icount}" = icount ]; then
		cpus=1
		accel="-accel tcg -icount shift=0,sleep=off -seed 1 -rtc base=2025-01-01,clock=vm -cpu $cpu"
	elif kvm_works; then
		accel='-accel kvm -cpu host'
	else
		accel="-accel tcg,thread=multi -cpu $cpu"
	fi
	note "QEMU: $accel"
	append="norandmaps mitigations=off quiet $append"
}

# One serial line is the kernel's, the other is for what the command prints and its status (bench/init).
domain_boot() {
	[ -z "${COUNTS:-}" ] || set -- -plugin "$OUT/user/bench/count.so,out=$COUNTS"
	exec qemu-system-x86_64 $accel -m "$mem" -smp "$cpus" -nodefaults -display none -no-reboot \
		-kernel "$kernel" -initrd "$run/initramfs" -append "console=ttyS0 panic=-1 oops=panic pci=noacpi $append" \
		-chardev "file,id=log,path=$klog" -serial chardev:log -chardev "file,id=out,path=$run/out" -serial chardev:out "$@"
}

domain_log() {
	grep '^status ' "$run/out" >"$run/status" || :
}
