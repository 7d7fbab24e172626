package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/providers/capi"
)

// Probe implements Engine.
func (e *engine) Probe(ctx context.Context, request RenderRequest, each time.Duration) ([]source.Probed, error) {
	answers, err := source.Probe(ctx, fetchOptions(request, "", e.Clock.Now), each)
	if err != nil {
		return nil, inputFault("RepositoryUnusable", err)
	}
	return answers, nil
}

// Lint implements Engine.
func (e *engine) Lint(rendered *Rendered, seeds []v1alpha1.Seed) (*lint.Report, error) {
	in := lint.Input{Objects: rendered.State, Units: rendered.Units, KnownKinds: rendered.KnownKinds, Release: capi.KubernetesVersion(rendered.Cluster)}
	for _, s := range seeds {
		in.Seeds = append(in.Seeds, manifests.ID{Kind: "Secret", Namespace: s.Namespace, Name: s.SecretRef.Name})
	}
	report, err := lint.Run(in)
	if err != nil {
		return nil, fmt.Errorf("apply the rules of lint: %w", err)
	}
	return report, nil
}
