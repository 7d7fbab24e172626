package controllers

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/providers/local/controllers/fleet"
)

// Cluster API connects the moment it sees provisioned, and tries again only 30 s
// later: that the plane answers and that the kubeconfig is there must both hold.
func TestProvisioned(t *testing.T) {
	ailing := alive
	ailing.Problem = errors.New("it does not answer")
	tests := map[string]struct {
		facts clusterFacts
		want  bool
	}{
		"another provider's control plane":     {clusterFacts{}, true},
		"nothing known yet":                    {clusterFacts{local: true, seen: fleet.Observation{Phase: fleet.Starting}}, false},
		"answers, no kubeconfig":               {clusterFacts{local: true, seen: alive}, false},
		"kubeconfig, does not answer":          {clusterFacts{local: true, kubeconfig: true, seen: ailing}, false},
		"answers, kubeconfig":                  {clusterFacts{local: true, kubeconfig: true, seen: alive}, true},
		"reported before, does not answer now": {clusterFacts{local: true, initialized: true, seen: ailing}, true},
		"reported before, provider just began": {clusterFacts{local: true, initialized: true, seen: fleet.Observation{}}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.provisioned(); got != test.want {
				t.Errorf("provisioned: %v, want %v", got, test.want)
			}
			ready := test.facts.ready().Status == metav1.ConditionTrue
			if want := !test.facts.local || test.want && test.facts.seen.Healthy(); ready != want {
				t.Errorf("ready: %v, want %v", ready, want)
			}
		})
	}
}
