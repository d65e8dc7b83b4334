#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Runs the test of the shared object in a guest that has no C library: the one it
# was built with lies beside the program.

dir=$(dirname "$(command -v shared-program)")
exec "$dir/ld.so" --library-path "$dir" "$dir/shared-program"
