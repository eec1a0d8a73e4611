#!/usr/bin/env bash
# Trains on a Cloud TPU VM, of one host or of a slice with many. Untested on a real one.
#
#   ZONE=us-west4-a ACCELERATOR=v5litepod-16 RUNTIME=v2-alpha-tpuv5-lite \
#     STORAGE=SERVER:/EXPORT launch/tpu_vm.sh --config=… --workdir=/runs/digits
#
# The arguments are flags of regen_jax.train. STORAGE is an NFS export that all hosts mount
# at /runs, since what is written elsewhere goes with the machine. May be given too: NAME of
# the VM, SPOT=1 for one that may be taken away, EXTRAS of the package (separated by commas),
# PREPARE (data sets that each host prepares, separated by spaces), RESTARTS (at most).
#
# Run it in the checkout, with gcloud logged in. Run again it goes on where it stopped.
set -euo pipefail

name=${NAME:-regen-jax}
zone=${ZONE:?such as us-west4-a}
accelerator=${ACCELERATOR:?such as v5litepod-16}
runtime=${RUNTIME:?the version of the TPU software, such as v2-alpha-tpuv5-lite}
storage=${STORAGE:?an NFS export, SERVER:/EXPORT}
extras=${EXTRAS:-digits,speech}
prepare=${PREPARE:-}
restarts=${RESTARTS:-10}
tier=(${SPOT:+--spot})
arguments=("$@")
for flag in --config= --workdir=/runs/; do
  if [[ " $*" != *" $flag"* ]]; then
    echo "error: $flag… of regen_jax.train is needed" >&2
    exit 2
  fi
done

tpus() {
  gcloud compute tpus "$@" --zone="$zone" --quiet
}

vm_state() {
  tpus tpu-vm describe "$name" --format='value(state)' 2>/dev/null || echo MISSING
}

request_state() {
  tpus queued-resources describe "$name" --format='value(state.state)' 2>/dev/null ||
    echo MISSING
}

on_all_workers() {
  tpus tpu-vm ssh "$name" --worker=all --command="$1"
}

# Uses the TPU VM of that name, or asks for one. The request waits in a queue: a plain
# `tpu-vm create` fails where there is no capacity at the moment.
obtain() {
  local polls
  for ((polls = 0; polls < 2880; polls++)); do # of 30 s: a day
    if [ "$(vm_state)" = READY ]; then
      return
    fi
    case $(request_state) in
      MISSING)
        tpus queued-resources create "$name" --node-id="$name" "${tier[@]}" \
          --accelerator-type="$accelerator" --runtime-version="$runtime" || return
        ;;
      FAILED | SUSPENDING | SUSPENDED)
        # A preempted VM never comes back, and its request is in the way of another.
        tpus queued-resources delete "$name" --force || return
        ;;
    esac
    sleep 30
  done
  echo "error: no TPU VM $name within a day: see its state $(request_state)" >&2
  return 1
}

# Everything is safe to repeat; a VM that was made again has nothing yet.
install() {
  local archive
  archive=$(mktemp --suffix=.tar.gz)
  git ls-files -z | tar --null --files-from=- --create --gzip --file="$archive" &&
    tpus tpu-vm scp "$archive" "$name:regen_jax.tar.gz" --worker=all &&
    on_all_workers "
      set -e
      mkdir -p regen_jax
      tar --extract --gzip --file=regen_jax.tar.gz --directory=regen_jax
      cd regen_jax
      apt_get() { sudo apt-get -qy -o DPkg::Lock::Timeout=300 \"\$@\"; }
      apt_get update
      apt_get install nfs-common
      # Ubuntu 22.04 has Python 3.10, and 3.11 beside it.
      apt_get install python3.11-venv || apt_get install python3-venv
      sudo mkdir -p /runs
      mountpoint --quiet /runs || sudo mount -t nfs $(printf '%q' "$storage") /runs
      source launch/environment $(printf '%q' "$extras")
      python -m pip install --quiet --constraint launch/constraints.txt 'jax[tpu]'
      for name in $prepare; do python -m regen_jax.data.prepare \$name; done
    "
  local status=$?
  rm -f "$archive"
  return "$status"
}

# A connection that broke leaves its run behind, which holds the lock: it is asked to
# save and to end first. Workers find each other, and so no address is given.
train() {
  on_all_workers "
    cd regen_jax && source .venv/bin/activate || exit
    flock --nonblock train.lock true || kill -TERM \$(cat train.pid)
    flock --timeout=300 train.lock bash -c 'echo \$\$ >train.pid && exec \"\$@\"' \
      bash python -m regen_jax.train$(printf ' %q' "${arguments[@]}")
  "
}

for ((attempt = 0; attempt <= restarts; attempt++)); do
  status=0
  if ! obtain; then
    exit 1
  elif install; then
    train || status=$?
  else
    status=$?
  fi
  case $status in
    0)
      echo "Done. The TPU VM is still there, and paid for; this ends it:"
      echo "gcloud compute tpus queued-resources delete $name --zone=$zone --force"
      exit
      ;;
    75) echo "It has saved and asks to be started again." ;;
    255) echo "The connection broke." ;;
    *)
      # An error of its own comes again; that of a VM which was taken away does not.
      if [ "$(vm_state)" = READY ]; then
        exit "$status"
      fi
      echo "The TPU VM is gone."
      ;;
  esac
done
echo "error: stopped $attempt times: run this again to go on" >&2
exit 75
