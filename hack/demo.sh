#!/bin/sh
# Drills a plan built from a repository of manifests that nobody here wrote: brings the
# sandbox up, rebuilds, verifies, measures, deletes, and leaves nothing running.
#
#   CASES    directory with a kube-prometheus folder; examples/shop is used without it
#   REFLOAT  the command to use, bin/refloat unless it says otherwise
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
case ${REFLOAT:=bin/refloat} in
/*) refloat=$REFLOAT ;;
*) refloat=$root/$REFLOAT ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/refloat-demo.XXXXXX")
export KUBECONFIG="$work/sandbox/kubeconfig"

cleanup() {
	status=$?
	trap - EXIT
	trap '' INT TERM
	if "$refloat" sandbox down --purge --dir "$work/sandbox"; then
		rm -rf "$work"
	else
		echo "to try again: $refloat sandbox down --purge --dir $work/sandbox" >&2
		status=1
	fi
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

name=kube-prometheus
state=$root/../shared/cases/kube-prometheus
[ -z "${CASES:-}" ] || state=$CASES/kube-prometheus
if [ ! -d "$state" ]; then
	name=shop
	state=$root/examples/shop
fi

# A repository as a platform team has it: the cluster and its state at one commit.
mkdir -p "$work/repository/cluster" "$work/repository/state"
cp "$root/examples/cluster/cluster.yaml" "$work/repository/cluster/"
cp -R "$state/." "$work/repository/state/"
chmod -R u+w "$work/repository"
git -C "$work/repository" init --quiet --initial-branch=main
git -C "$work/repository" add --all
git -C "$work/repository" -c user.name=demo -c user.email=demo@example.com -c commit.gpgsign=false \
	commit --quiet --message "The $name cluster and its state"

cat >"$work/plan.yaml" <<PLAN
apiVersion: refloat.dev/v1alpha1
kind: RecoveryPlan
metadata:
  name: $name
  namespace: default
spec:
  source:
    url: file://$work/repository
    ref: {branch: main}
  cluster:
    name: $name
    path: cluster
  state:
    - path: state
  objective:
    recoveryTime: 5m
PLAN

# Ctrl-C ends the sandbox, so nobody can attach to the run again.
export REFLOAT_DETACHED="the sandbox is deleted now, and the run with it"

"$refloat" sandbox up --dir "$work/sandbox"
"$refloat" drill --filename "$work/plan.yaml" --reason "demo" --report-dir "$root/out"
