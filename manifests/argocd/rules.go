package argocd

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// RulesOf reads what the annotations of one object ask for; nil when they ask for
// nothing. It serves the objects of Applications and those of plain state paths, which
// are often written for Argo CD too.
func RulesOf(o manifests.Object) (*manifests.Rules, []string) {
	if o.Unstructured == nil {
		return nil, nil
	}
	r := &reading{object: o, annotations: o.GetAnnotations()}
	r.wave()
	r.hook()
	r.syncOptions()
	if strings.EqualFold(r.annotations[annotationIgnoreHealth], "true") || isDefinition(o.ID()) {
		r.rules.HealthIgnored = true
	}
	if reflect.DeepEqual(r.rules, manifests.Rules{}) {
		return nil, r.warnings
	}
	return &r.rules, r.warnings
}

// isDefinition is true for what declares units. What it declares is proven object by
// object, so nobody has to wait until Argo CD says the same of it.
func isDefinition(id manifests.ID) bool {
	return id.Group == Group && (id.Kind == KindApplication || id.Kind == KindApplicationSet)
}

// reading is the state of one call of RulesOf.
type reading struct {
	object      manifests.Object
	annotations map[string]string
	rules       manifests.Rules
	warnings    []string
}

func (r *reading) warn(format string, args ...any) {
	r.warnings = append(r.warnings, where(r.object)+": "+fmt.Sprintf(format, args...))
}

// where names an object and its place for messages.
func where(o manifests.Object) string {
	if at := o.Origin.String(); at != "" {
		return fmt.Sprintf("%s (%s)", o.ID(), at)
	}
	return o.ID().String()
}

// wave is the sync wave, or the weight of a Helm hook. Argo CD reads the weight of
// objects that are no hooks too.
func (r *reading) wave() {
	for _, name := range []string{annotationWave, annotationHelmWeight} {
		text, ok := r.annotations[name]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err == nil {
			r.rules.Wave = n
			return
		}
		r.warn("annotation %s is not a whole number and counts as none: %q", name, cut(text))
	}
}

// cut shortens what is quoted from a repository.
func cut(text string) string {
	const most = 60
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// options splits a comma-separated annotation.
func options(text string) []string {
	var all []string
	for _, o := range strings.Split(text, ",") {
		if o = strings.TrimSpace(o); o != "" {
			all = append(all, o)
		}
	}
	return all
}
