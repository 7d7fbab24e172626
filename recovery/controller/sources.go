package controller

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/recovery"
)

// Access is what the Secrets of a plan's source hold.
type Access struct {
	// Auth for the repository and Mirrors for each mirror, in the plan's order.
	Auth    source.Auth
	Mirrors []source.Auth
	// Verify has the keys and the mode; nil when no signature is asked for.
	Verify *source.Verify
}

// access reads every Secret that a source names.
func (r *Reconciler) access(ctx context.Context, run *v1alpha1.RecoveryRun, src v1alpha1.GitSource) (Access, error) {
	var (
		a   Access
		err error
	)
	if a.Auth, err = r.credentials(ctx, run, src.SecretRef, "spec.source.secretRef"); err != nil {
		return Access{}, err
	}
	for i, m := range src.Mirrors {
		auth, err := r.credentials(ctx, run, m.SecretRef, fmt.Sprintf("spec.source.mirrors[%d].secretRef", i))
		if err != nil {
			return Access{}, err
		}
		a.Mirrors = append(a.Mirrors, auth)
	}
	if err := r.proxy(ctx, run, src, &a); err != nil {
		return Access{}, err
	}
	if src.Verify == nil {
		return a, nil
	}
	keys, err := r.secret(ctx, run, src.Verify.SecretRef.Name, "spec.source.verify.secretRef")
	if err != nil {
		return Access{}, err
	}
	a.Verify = source.VerifyFrom(source.VerifyMode(src.Verify.Mode), keys.Data)
	return a, nil
}

// credentials for a remote.
func (r *Reconciler) credentials(ctx context.Context, run *v1alpha1.RecoveryRun, ref *v1alpha1.LocalSecretReference, field string) (source.Auth, error) {
	if ref == nil {
		return source.Auth{}, nil
	}
	s, err := r.secret(ctx, run, ref.Name, field)
	if err != nil {
		return source.Auth{}, err
	}
	return source.AuthFrom(s.Data), nil
}

// proxy goes to every remote that can use one.
func (r *Reconciler) proxy(ctx context.Context, run *v1alpha1.RecoveryRun, src v1alpha1.GitSource, a *Access) error {
	if src.ProxySecretRef == nil {
		return nil
	}
	const field = "spec.source.proxySecretRef"
	s, err := r.secret(ctx, run, src.ProxySecretRef.Name, field)
	if err != nil {
		return err
	}
	address, ok := source.ProxyFrom(s.Data)
	if !ok {
		return unlessDestroyed(run, recovery.Faultf("ProxyInvalid", "Secret %s/%s, which the plan names in %s, holds no URL of an http, https or socks5 proxy under the key address", run.Namespace, s.Name, field))
	}
	if overHTTP(src.URL) {
		a.Auth.Proxy = address
	}
	for i, m := range src.Mirrors {
		if overHTTP(m.URL) {
			a.Mirrors[i].Proxy = address
		}
	}
	return nil
}

func overHTTP(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// fetchOptions of a request. Each namespace has a cache of its own: what one may read
// with its credentials must not reach another through the cache.
func fetchOptions(request RenderRequest, cacheDir string, now func() time.Time) source.Options {
	src := request.Source
	o := source.Options{
		URL: src.URL, Branch: src.Ref.Branch, Tag: src.Ref.Tag, SemVer: src.Ref.SemVer, Commit: src.Ref.Commit,
		Auth: request.Access.Auth, Verify: request.Access.Verify, Submodules: src.Submodules, Now: now,
		AllowStale: true,
	}
	if cacheDir != "" {
		o.CacheDir = filepath.Join(cacheDir, request.Namespace)
	}
	for i, m := range src.Mirrors {
		mirror := source.Mirror{URL: m.URL}
		if i < len(request.Access.Mirrors) {
			mirror.Auth = request.Access.Mirrors[i]
		}
		o.Mirrors = append(o.Mirrors, mirror)
	}
	if request.Commit != "" {
		// The reference stays: a tag's signature is checked again for the pinned commit.
		o.Commit = request.Commit
	}
	return o
}

// originOf a snapshot, for the record.
func originOf(s *source.Snapshot) *v1alpha1.CommitOrigin {
	origin := &v1alpha1.CommitOrigin{From: bounded(s.From, 4096), Ref: bounded(s.Ref, 512), Stale: s.Stale}
	if !s.FetchedAt.IsZero() {
		at := metav1.NewTime(s.FetchedAt)
		origin.FetchedAt = &at
	}
	for _, signature := range s.SignedBy {
		origin.SignedBy = append(origin.SignedBy, bounded(signature.String(), 1024))
	}
	return origin
}

func bounded(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// provenance is the end of the preflight's message: what a reader must know of the commit.
func provenance(o *v1alpha1.CommitOrigin) string {
	if o == nil {
		return ""
	}
	var text string
	if o.Stale {
		text = "; remote unreachable, taken from the last fetch"
		if o.FetchedAt != nil {
			text += " at " + o.FetchedAt.UTC().Format(time.RFC3339)
		}
	}
	for _, signature := range o.SignedBy {
		text += "; " + signature
	}
	return text
}
