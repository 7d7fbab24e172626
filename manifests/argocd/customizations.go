package argocd

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

const customizationsKey = "resource.customizations"

// healthRule is a Lua script for the kinds that a pattern matches.
type healthRule struct {
	key   string // group/kind, or kind alone
	match func(string) bool
	lua   string
	from  string
}

func (r healthRule) matches(gk schema.GroupKind) bool {
	key := gk.Kind
	if gk.Group != "" {
		key = gk.Group + "/" + gk.Kind
	}
	return r.match(key)
}

// customization is one value of resource.customizations.
type customization struct {
	Health            string `json:"health.lua"`
	OpenLibs          bool   `json:"health.lua.useOpenLibs"`
	IgnoreDifferences string `json:"ignoreDifferences"`
}

// customizations reads both ways to write them: one mapping of all kinds, whose keys may
// have wildcards, and one key of the ConfigMap for each kind and purpose.
func (r *settingsReader) customizations(o manifests.Object, values map[string]string) {
	var all map[string]customization
	if err := yaml.Unmarshal([]byte(values[customizationsKey]), &all); err != nil {
		r.warn(o, "%s is no mapping of kinds: it has no effect", customizationsKey)
		all = nil
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		c := all[key]
		r.healthOf(o, key, customizationsKey+"["+key+"]", c.Health)
		r.ignoreOf(o, key, customizationsKey+"["+key+"]", c.IgnoreDifferences)
		if c.OpenLibs {
			r.openLibs(o, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		rest, ok := strings.CutPrefix(key, customizationsKey+".")
		if !ok {
			continue
		}
		purpose, kind, _ := strings.Cut(rest, ".")
		group, name, split := strings.Cut(kind, "_")
		if split {
			kind = group + "/" + name
		}
		switch {
		case kind == "" || strings.Contains(name, "_"):
			r.warn(o, "%s does not say a kind as group_kind: it has no effect", key)
		case purpose == "health":
			r.healthOf(o, kind, key, values[key])
		case purpose == "ignoreDifferences" && kind == "all":
			r.ignoreOf(o, "*/*", key, values[key])
		case purpose == "ignoreDifferences":
			r.ignoreOf(o, kind, key, values[key])
		case purpose == "useOpenLibs" && values[key] == "true":
			r.openLibs(o, kind)
		}
	}
	r.sortHealth()
}

func (r *settingsReader) openLibs(o manifests.Object, kind string) {
	r.warn(o, "the health rule of %s asks for the open libraries of Lua, which are not given", cut(kind))
}

func (r *settingsReader) healthOf(o manifests.Object, kind, key, lua string) {
	if strings.TrimSpace(lua) == "" {
		return
	}
	match, err := compileGlob(kind, globOptions{braces: true})
	if err != nil {
		r.warn(o, "%s: %v: it has no effect", key, err)
		return
	}
	rule := healthRule{key: kind, match: match, lua: lua, from: key + " of " + where(o)}
	r.settings.health = append(r.settings.health, rule)
	if rule.matches(schema.GroupKind{Group: Group, Kind: KindApplication}) {
		r.settings.ApplicationHealth = true
	}
}

// sortHealth puts exact kinds before patterns and long patterns before short ones.
func (r *settingsReader) sortHealth() {
	wild := func(key string) int {
		if strings.ContainsAny(key, "*?[{") {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(r.settings.health, func(a, b healthRule) int {
		return cmp.Or(cmp.Compare(wild(a.key), wild(b.key)), cmp.Compare(len(b.key), len(a.key)), strings.Compare(a.key, b.key))
	})
}

func (r *settingsReader) ignoreOf(o manifests.Object, kind, key, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	var d differenceOf
	if err := yaml.Unmarshal([]byte(text), &d.differences); err != nil {
		r.warn(o, "%s is no mapping of jsonPointers, jqPathExpressions and managedFieldsManagers: it has no effect", key)
		return
	}
	group, name, ok := strings.Cut(kind, "/")
	if d.Group, d.Kind = group, name; !ok {
		d.Group, d.Kind = "", kind
	}
	rule, err := newIgnoreRule(d, key+" of "+where(o))
	if err != nil {
		r.warn(o, "%s: %v: it has no effect", key, err)
		return
	}
	r.settings.ignore = append(r.settings.ignore, rule)
}
