package controller

import (
	"context"
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/sops"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

// checkOf the reasons of faults that are not those of the step in which they came up.
var checkOf = map[string]recoverability.Check{
	"RepositoryUnusable":      recoverability.CheckGit,
	"SecretNotFound":          recoverability.CheckSecrets,
	"SigningKeyInvalid":       recoverability.CheckSecrets,
	"ProxyInvalid":            recoverability.CheckSecrets,
	"SeedEmpty":               recoverability.CheckSeeds,
	"ClusterManifestsInvalid": recoverability.CheckClusterManifest,
	"InternalError":           recoverability.CheckItself,
}

// sorted tells which check an error is about, and whether it may pass without anybody doing
// anything. A place that does not answer is no such case: a rebuild would not reach it either.
func sorted(err error, remotes []recoverability.Remote, step recoverability.Check) (check recoverability.Check, unsure bool) {
	var unreachable *source.UnreachableError
	fault := recovery.AsFault(err)
	switch {
	case ofDecryption(err):
		return recoverability.CheckDecryption, false
	case ofChart(err):
		return recoverability.CheckCharts, false
	case errors.As(err, &unreachable):
		for _, r := range remotes {
			if r.URL == unreachable.URL {
				return recoverability.CheckGit, false
			}
		}
		return recoverability.CheckSources, false
	case webhookDown(err):
		return recoverability.CheckClusterAPI, false
	case fault == nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return step, true
	case step == recoverability.CheckSeeds:
		return step, false
	case step == recoverability.CheckRendering && fault.Reason == "BadClusterManifests":
		return recoverability.CheckClusterManifest, false
	}
	if named, ok := checkOf[fault.Reason]; ok {
		return named, named == recoverability.CheckItself
	}
	return step, false
}

func ofDecryption(err error) bool {
	var missing *sops.MissingKeyError
	return errors.As(err, &missing) || errors.Is(err, sops.ErrDamaged) || errors.Is(err, render.ErrEncrypted)
}

func ofChart(err error) bool {
	var (
		invalid     *chart.InvalidError
		unreachable *chart.UnreachableError
		denied      *chart.DeniedError
		missing     *chart.NotFoundError
		changed     *chart.DigestError
	)
	return errors.As(err, &invalid) || errors.As(err, &unreachable) || errors.As(err, &denied) || errors.As(err, &missing) || errors.As(err, &changed)
}

// webhookDown says that a controller of Cluster API does not answer: the API server asks it
// before it takes an object.
func webhookDown(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "failed calling webhook")
}
