# SPDX-License-Identifier: GPL-2.0
# Lists the objects of a kernel in the order in which kbuild makes them, by reading its makefiles as it does, one
# directory after the other. Run by object_list in scripts/kbuild.sh, from the kernel's own Makefile.

self := $(lastword $(MAKEFILE_LIST))
include $(srctree)/scripts/Makefile.build

objects:
	@for o in $(patsubst ./%,%,$(real-obj-y) $(lib-y)); do \
		case $$o in \
		*/built-in.a) $(MAKE) -f $(self) obj=$${o%/built-in.a} need-builtin=1 need-modorder=1 objects || exit ;; \
		*.o) echo $$o ;; \
		esac; \
	done

.PHONY: objects
