#!/usr/bin/env bash
# Runs Debian's Bazel without a network:  .ci/bazel/offline_bazel.sh test //...
# Needs the packages bazel-bootstrap, bazel-platforms, bazel-skylib, bazel-rules-java and bazel-rules-proto. A current
# Bazel with a network needs none of this. BAZEL_OUTPUT_ROOT: where its output goes (default: Bazel's own).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

startup=(--batch)
if [[ -n "${BAZEL_OUTPUT_ROOT:-}" ]]; then
  startup+=("--output_user_root=$BAZEL_OUTPUT_ROOT")
fi
command=$1
shift
exec bazel "${startup[@]}" "$command" \
  --override_repository=platforms=/usr/share/bazel/tools/platforms \
  --override_repository=bazel_skylib=/usr/share/bazel/tools/skylib \
  --override_repository=rules_java=/usr/share/bazel/rules/java \
  --override_repository=rules_proto=/usr/share/bazel/rules/proto \
  --override_repository=rules_cc="$here/rules_cc" \
  --override_repository=rules_python="$here/rules_python" \
  --override_repository=remote_coverage_tools="$here/remote_coverage_tools" \
  --nosandbox_debug --symlink_prefix=/ --color=no --curses=no --noshow_progress \
  "$@"
