# Helpers of the CI scripts; sourced, not run.

section_title=""
section_start=$SECONDS

# Ends the current section, telling its seconds, and begins the one with title $1 (none if empty).
section() {
  if [[ -n "$section_title" ]]; then
    echo "--- $section_title: $((SECONDS - section_start)) s"
  fi
  section_title=$1
  section_start=$SECONDS
  if [[ -n "$section_title" ]]; then
    echo
    echo "=== $section_title"
  fi
}

# Uses the virtual environment in folder $1, made from $2 (default: $PYTHON) if it does not exist.
use_venv() {
  if [[ ! -d "$1" ]]; then
    "${2:-$PYTHON}" -m venv "$1"
  fi
  PATH="$1/bin:$BASE_PATH"
  export PATH VIRTUAL_ENV="$1"
  hash -r
}

# Runs $2, a command line that file $1 shows, to the letter.
documented_command() {
  if ! grep -qxF -- "$2" "$1"; then
    echo "$1 does not show the command: $2" >&2
    return 1
  fi
  bash -c "$2"
}

readme_command() { documented_command README.md "$1"; }

# Fails unless auditwheel finds that wheel $1 keeps what its tag $2 promises. Needs the package auditwheel.
audited_wheel() {
  local found
  found=$(auditwheel show "$1")
  echo "$found"
  if ! grep -qF "\"$2\"" <<<"$found"; then
    echo "$1 is not what $2 promises" >&2
    return 1
  fi
}
