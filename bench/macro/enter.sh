#!/bin/sh
# enter.sh ROOT WORK COMMAND...: runs COMMAND in a private mount namespace whose root is ROOT (a Debian tree with the peers'
# programs; '/' for this system), seeing WORK and this checkout at their own paths. Every mount made inside ends with it.
set -e
root=$1 work=$2; shift 2
checkout=$(cd "$(dirname "$0")/../.." && pwd)
export MICA_BENCH_COMMIT=$(git -C "$checkout" rev-parse HEAD)
# the modules of a worktree may be a link
export MICA_BENCH_ROOT="$root" MICA_BENCH_WORK="$work" MICA_BENCH_CHECKOUT="$checkout" MICA_BENCH_MODULES="$(readlink -f "$checkout/node_modules")"
exec unshare -m --propagation private sh -c '
set -e
R=$MICA_BENCH_ROOT
if [ "$R" != / ]; then
  mount --bind "$R" "$R"
  mount -t proc proc "$R/proc"
  mount --rbind /sys "$R/sys"
  mount --rbind /dev "$R/dev"
  mount -t tmpfs -o mode=755 tmpfs "$R/run"
  for dir in "$MICA_BENCH_WORK" "$MICA_BENCH_CHECKOUT" "$MICA_BENCH_MODULES"; do mkdir -p "$R$dir"; mount --bind "$dir" "$R$dir"; done
  # container tools refuse or misjudge a plain chroot
  mkdir -p "$R/.outside"; cd "$R"; pivot_root . .outside; umount -l /.outside; cd "$MICA_BENCH_CHECKOUT"
fi
exec "$@"
' enter "$@"
