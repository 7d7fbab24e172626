package controller

import (
	"context"
	"fmt"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/recovery"
)

// signingKeyField of the Secret that spec.verify.certificate names.
const signingKeyField = "key.pem"

// signingKey with which the plan's certificates are signed; nil when it asks for none.
// The Preflight reads it too, so that a key that cannot be used is known before anything
// is destroyed.
func (r *Reconciler) signingKey(ctx context.Context, run *v1alpha1.RecoveryRun) (*certificate.SigningKey, error) {
	policy := run.Status.Pinned.Plan.Verify.Certificate
	if policy == nil {
		return nil, nil
	}
	const field = "spec.verify.certificate.secretRef"
	s, err := r.secret(ctx, run, policy.SecretRef.Name, field)
	if err != nil {
		return nil, err
	}
	text, ok := s.Data[signingKeyField]
	if !ok {
		return nil, recovery.Faultf("SigningKeyInvalid", "Secret %s/%s, which the plan names in %s, has no key %s", run.Namespace, s.Name, field, signingKeyField)
	}
	key, err := certificate.ParseSigningKey(text)
	if err != nil {
		return nil, recovery.Faultf("SigningKeyInvalid", "Secret %s/%s, which the plan names in %s: %s: %v", run.Namespace, s.Name, field, signingKeyField, err)
	}
	return key, nil
}

// verifySettings of a run. A key that cannot be used any more costs the certificate, not
// the cluster that was recovered: the note says so.
func (r *Reconciler) verifySettings(ctx context.Context, run *v1alpha1.RecoveryRun) (settings VerifySettings, note string, err error) {
	plan := run.Status.Pinned.Plan
	settings = VerifySettings{Thorough: plan.Verify.Thorough, StableFor: recovery.StableFor(plan), Facts: factsOf(run)}
	settings.Key, err = r.signingKey(ctx, run)
	if fault := recovery.AsFault(err); fault != nil {
		return settings, "no certificate was made: " + fault.Message, nil
	}
	return settings, "", err
}

// factsOf the run, for a certificate.
func factsOf(run *v1alpha1.RecoveryRun) certificate.Facts {
	target, pinned := run.Status.Target, run.Status.Pinned
	return certificate.Facts{
		Cluster: certificate.Cluster{
			Name: target.Name, Namespace: run.Namespace, UID: string(target.UID), KubeSystemUID: string(target.KubeSystemUID),
		},
		Repository: certificate.Repository{URL: pinned.Plan.Source.URL},
		Plan:       run.Spec.PlanRef.Name, Run: run.Name,
	}
}

// keyOf an envelope, for people to find the public key; empty without one.
func keyOf(envelope []byte) string {
	if len(envelope) == 0 {
		return ""
	}
	ids, err := certificate.KeyIDs(envelope)
	if err != nil || len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf("%.64s", ids[0])
}
