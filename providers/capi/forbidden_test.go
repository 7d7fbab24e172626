package capi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

// TestPreflightForbidden tells who refuses from what the API server says.
func TestPreflightForbidden(t *testing.T) {
	for name, test := range map[string]struct {
		message string
		passes  bool
	}{
		"RBAC":      {`User "system:serviceaccount:refloat:refloat" cannot create resource "x" in API group "" in the namespace "fleet"`, false},
		"quota":     {"exceeded quota: small, requested: secrets=1, used: secrets=10, limited: secrets=10", true},
		"webhook":   {`admission webhook "x.example.com" denied the request: the identity does not exist`, true},
		"policy":    {"ValidatingAdmissionPolicy 'x' with binding 'y' denied request: canary", false},
		"namespace": {"unable to create new content in namespace fleet because it is being terminated", false},
	} {
		for _, kind := range []string{"FakeCluster", "Secret"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				w := newWorld(t, interceptor.Funcs{
					Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
						if o.GetObjectKind().GroupVersionKind().Kind == kind {
							return apierrors.NewForbidden(schema.GroupResource{Resource: "x"}, o.GetName(), errors.New(test.message))
						}
						return c.Create(ctx, o, opts...)
					},
				})
				m, err := capi.Parse(fake.Sources("dev"), "dev", "fleet")
				if err != nil {
					t.Fatal(err)
				}
				err = w.Preflight(t.Context(), m)
				var refused *capi.RefusedError
				if test.passes && err != nil || !test.passes && (!errors.As(err, &refused) || refused.Reason != "Forbidden") {
					t.Fatalf("got %v", err)
				}
				if err != nil && (!strings.Contains(err.Error(), kind) || kind == "Secret" && strings.Contains(err.Error(), "canary")) {
					t.Errorf("says %v", err)
				}
			})
		}
	}
}
