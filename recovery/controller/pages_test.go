package controller

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// paged answers lists as an API server writes them, one page after the other.
type paged struct {
	client.Reader
	t     *testing.T
	pages []string
}

func (p *paged) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	p.t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		p.t.Fatal(err)
	}
	page := p.pages[0]
	p.pages = p.pages[1:]
	_, _, err := serializer.NewCodecFactory(scheme).UniversalDeserializer().Decode([]byte(page), nil, list)
	return err
}

// TestNoPageIsReadOverAnother reads lists whose pages name different things of the object
// at the same place.
func TestNoPageIsReadOverAnother(t *testing.T) {
	r := &Reconciler{Reader: &paged{t: t, pages: []string{
		`{"apiVersion":"refloat.dev/v1alpha1","kind":"SafetyRuleList","metadata":{"continue":"more"},"items":[
			{"metadata":{"name":"goes","deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"gate":{"closed":true,"reason":"an incident"}}}]}`,
		`{"apiVersion":"refloat.dev/v1alpha1","kind":"SafetyRuleList","metadata":{},"items":[
			{"metadata":{"name":"stays"},"spec":{"gate":{"closed":false,"reason":"all is well"}}}]}`,
	}}}
	rules, err := r.rules(t.Context(), namespace)
	if err != nil || len(rules) != 2 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	if rules[1].DeletionTimestamp != nil {
		t.Error("a rule counts as being deleted because the one of the page before is")
	}
	if !rules[0].Spec.Gate.Closed {
		t.Error("a closed gate was opened by the page that follows")
	}
}
