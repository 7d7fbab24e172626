package controller

import (
	"cmp"
	"context"
	"time"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/manifests/verify"
	"github.com/refloat-dev/refloat/recovery/report"
)

// VerifySettings say how to compare and what to certify.
type VerifySettings struct {
	// Thorough asks the API server about every object; StableFor is how long they have
	// to stay healthy.
	Thorough  bool
	StableFor time.Duration
	// Key signs a certificate of the outcome; nil makes none. Unmatched makes one of a
	// cluster that differs too.
	Key       *certificate.SigningKey
	Unmatched bool
	// Facts for the certificate. The engine adds times, commit, render and version.
	Facts certificate.Facts
}

// Verified is the outcome of a verification.
type Verified struct {
	*report.Verification
	// Certificate is a DSSE envelope, nil without a key or a match.
	Certificate []byte
}

// Verify implements Engine.
func (e *engine) Verify(ctx context.Context, rendered *Rendered, target Target, settings VerifySettings, tell func(ApplyProgress)) (*Verified, error) {
	if err := target.Guard(ctx); err != nil {
		return nil, err
	}
	started := e.Clock.Now()
	r, err := verify.Verify(ctx, rendered.State, verify.Options{
		Config: cmp.Or(target.Reads, target.Config), Ask: target.Config, Simulated: target.Simulated, Log: e.Log, Clock: e.Clock,
		Thorough: settings.Thorough, StableFor: settings.StableFor,
		Tell: func(w verify.Wait) { tell(ApplyProgress{Waiting: w.For, Since: w.Since, Until: w.Until}) },
	})
	if err != nil {
		return nil, err
	}
	out := &Verified{Verification: verificationOf(r)}
	if settings.Key == nil || !r.Clean() && !settings.Unmatched {
		return out, nil
	}
	facts := settings.Facts
	facts.StartedAt, facts.FinishedAt, facts.RefloatVersion = started, e.Clock.Now(), e.Version
	facts.Repository.Commit, facts.Repository.RenderDigest = rendered.Commit, rendered.Digest
	facts.Repository.CommitTime = known(rendered.CommitTime)
	facts.Cluster.Simulated = target.Simulated
	out.Certificate, err = certificate.Sign(ctx, certificate.New(r, facts), settings.Key)
	return out, err
}

func verificationOf(r *verify.Report) *report.Verification {
	v := &report.Verification{
		Rendered: r.Rendered, Matched: r.Matched, Skipped: r.Skipped, Missing: len(r.Missing), Changed: len(r.Changed),
		Extra: len(r.Extra), Healthy: r.Healthy, Unhealthy: len(r.Unhealthy), NotProvable: len(r.NotProvable),
		Weak: len(r.Weak), Exempt: len(r.Exempt), Thorough: r.Thorough, StableSeconds: r.StableFor.Seconds(), LiveDigest: r.LiveDigest,
		Details: report.Details{
			Missing: findingsOf(r.Missing), Changed: findingsOf(r.Changed), Extra: findingsOf(r.Extra),
			Unhealthy: findingsOf(r.Unhealthy), NotProvable: findingsOf(r.NotProvable),
			Weak: findingsOf(r.Weak), Exempt: findingsOf(r.Exempt),
		},
	}
	for _, g := range r.Others {
		v.Others = append(v.Others, report.Group{Class: string(g.Class), Reason: g.Reason, Count: g.Count, Example: g.Example.String()})
	}
	return v
}

func findingsOf(list []verify.Finding) []report.Finding {
	var out []report.Finding
	for _, f := range list {
		finding := report.Finding{ID: f.ID.String(), Detail: f.Detail, Rule: f.Rule}
		if f.Origin != (manifests.Origin{}) {
			finding.Origin = f.Origin.String()
		}
		for _, c := range f.Changes {
			finding.Changes = append(finding.Changes, report.Change{
				Path: c.Path, Rendered: c.Rendered, Live: c.Live, Manager: c.Manager, Time: known(c.Time),
			})
		}
		out = append(out, finding)
	}
	return out
}
