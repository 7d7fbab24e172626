package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/quarantine"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// drillOptions of a run; nil for one that does not make its state harmless.
func drillOptions(run *v1alpha1.RecoveryRun) (*quarantine.Options, error) {
	policy := run.Status.Pinned.Plan.Drill
	if run.Spec.Operation != v1alpha1.OperationDrill || policy.Profile == v1alpha1.ProfileNone {
		return nil, nil
	}
	return recovery.DrillOptions(policy)
}

// drilled makes a state harmless, as far as the request says, before it is ordered. What
// comes out is what the run freezes: applied, verified and counted.
func drilled(state *expand.Result, request RenderRequest, cluster []capi.Source) ([]quarantine.Change, error) {
	if request.Drill == nil {
		return nil, nil
	}
	o := *request.Drill
	network := capi.NetworkOf(cluster)
	o.Networks = network.CIDRs
	if network.APIPort != 0 {
		o.APIPorts = []int32{network.APIPort}
	}
	o.OlderThan130 = capi.OlderThan(capi.KubernetesVersion(cluster), "1.30.0")
	o.Seeds = map[manifests.ID][]string{}
	for _, s := range request.Seeds {
		for key := range s.Data {
			id := manifests.ID{Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}
			o.Seeds[id] = append(o.Seeds[id], key)
		}
	}
	result, err := quarantine.Apply(state.Objects, state.Units, o)
	var refused *quarantine.RefusedError
	if errors.As(err, &refused) {
		return nil, recovery.Faultf("DrillRefused", "%v", refused)
	}
	if err != nil {
		return nil, err
	}
	if state.Digest, err = drillDigest(state.Digest, result.Changes); err != nil {
		return nil, err
	}
	state.Objects, state.Units = result.Objects, result.Units
	state.Warnings = append(state.Warnings, result.Warnings...)
	return result.Changes, nil
}

// drillDigest covers the state and what was changed in it.
func drillDigest(state string, changes []quarantine.Change) (string, error) {
	text, err := json.Marshal([]any{state, quarantine.Version, changes})
	if err != nil {
		return "", fmt.Errorf("digest of the drill profile: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
