# SPDX-License-Identifier: GPL-2.0
# The commands of the README; each is a script of its own, with --help.

MAKEFLAGS += --no-print-directory
export DOMAIN DEBUG PREEMPT KSRC V SHARE JOBS TESTS ABIS

all: run

# Set up, build, boot, and show bus1 at work.
run:
	@scripts/run

# Every test; ends with `N passed, N failed, N skipped`.
test:
	@scripts/test

# A busybox shell in the guest, with the examples in $PATH.
shell:
	@scripts/setup && scripts/build && scripts/shell

build:
	@scripts/setup && scripts/build

# patches/ again, after a change to the files.
regen:
	@scripts/regen

check:
	@scripts/check-sync && scripts/check-layers && scripts/check-style

# Random sequences of calls, under KASAN, compared with a model of the contract.
SEEDS = 500
check-random:
	@scripts/check-random --seeds $(SEEDS)

# What takes longer than a change should wait for: the same under KASAN, lockdep and kmemleak.
check-all: test
	@DEBUG=1 scripts/test
	@scripts/check-random --seeds 20000

# What bus1 costs next to its neighbours: tables, and files in build/bench-results.
bench:
	@scripts/setup && scripts/bench --goals

# Whether it costs what the record says.
bench-check:
	@scripts/setup && scripts/bench-check

clean:
	rm -rf build

.PHONY: all run test shell build regen check check-random check-all bench bench-check clean
