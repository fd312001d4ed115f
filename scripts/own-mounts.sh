#!/bin/sh
# In place of Node for one file of the tests: Node in a mount namespace of its own, see test.ts.
node=$MICA_TEST_NODE
unset MICA_TEST_NODE
exec unshare -m -- "$node" "$@"
