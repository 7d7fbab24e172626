package argocd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// generators that ask something outside the repository, with the reason why they are
// left out.
var outside = map[string]string{
	"scmProvider":             "it asks a hosting service for repositories, which no commit pins",
	"pullRequest":             "it asks a hosting service for pull requests, which no commit pins",
	"plugin":                  "it asks a plugin, which is code of its own",
	"clusterDecisionResource": "it asks a resource that only a running cluster has",
}

// generate makes the sets of parameters of one generator. given are the parameters that
// a matrix has so far; depth counts the matrices and merges around it.
func (s *set) generate(g map[string]any, given params, depth int) ([]params, error) {
	if s.ctx.Err() != nil {
		return nil, context.Cause(s.ctx)
	}
	kind, body, err := generatorOf(g)
	if err != nil {
		return nil, err
	}
	var all []params
	switch {
	case outside[kind] != "":
		return nil, leaveOut("generator %s: %s", kind, outside[kind])
	case kind == "matrix" || kind == "merge":
		if depth >= 2 {
			return nil, fmt.Errorf("%s is nested too deeply: at most one matrix or merge within another", kind)
		}
		if kind == "matrix" {
			all, err = s.matrix(body, given, depth+1)
		} else {
			all, err = s.merge(body, given, depth+1)
		}
	default:
		all, err = s.leaf(kind, body, given)
	}
	if err != nil {
		return nil, err
	}
	if len(all) > s.options.Limits.Applications {
		return nil, s.tooMany()
	}
	return s.selected(g, given, all)
}

// leaf is a generator that holds no others.
func (s *set) leaf(kind string, body map[string]any, given params) ([]params, error) {
	body = maps.Clone(body)
	delete(body, "template") // only that of the outermost generator counts
	if len(given) > 0 {
		tree, err := s.templates.tree(body, given)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		body, _ = tree.(map[string]any)
	}
	var all []params
	var err error
	switch kind {
	case "list":
		all, err = s.list(body)
	case "clusters":
		all, err = s.clusters(body)
	case "git":
		all, err = s.git(body)
	default:
		return nil, leaveOut("generator %q is not known", cut(kind))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return all, nil
}

// generatorOf is the one generator that an entry holds.
func generatorOf(g map[string]any) (kind string, body map[string]any, err error) {
	for _, key := range slices.Sorted(maps.Keys(g)) {
		if key == "selector" || g[key] == nil {
			continue
		}
		if kind != "" {
			return "", nil, fmt.Errorf("has both %s and %s: give each an entry of its own", kind, key)
		}
		kind = key
		var ok bool
		if body, ok = g[key].(map[string]any); !ok {
			return "", nil, fmt.Errorf("%s must be a mapping", key)
		}
	}
	if kind == "" {
		return "", nil, errors.New("holds no generator: name one, for example list")
	}
	return kind, body, nil
}

// list gives its elements.
func (s *set) list(body map[string]any) ([]params, error) {
	elements, _ := body["elements"].([]any)
	var all []params
	for i, element := range elements {
		m, ok := element.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("elements[%d] must be a mapping", i)
		}
		if !s.definition.Spec.GoTemplate {
			flat, err := flatElement(m)
			if err != nil {
				return nil, fmt.Errorf("elements[%d]: %w", i, err)
			}
			m = flat
		}
		all = append(all, m)
	}
	text, _ := body["elementsYaml"].(string)
	if text == "" {
		return all, nil
	}
	var more []params
	if err := yaml.Unmarshal([]byte(text), &more); err != nil {
		return nil, errors.New("elementsYaml is no list of mappings")
	}
	return append(all, more...), nil
}

// flatElement is an element as simple templates see it: text only, with values one
// level below.
func flatElement(m map[string]any) (params, error) {
	flat := params{}
	for key, value := range m {
		if text, ok := value.(string); ok {
			flat[key] = text
			continue
		}
		below, ok := value.(map[string]any)
		if !ok || key != "values" {
			return nil, fmt.Errorf("%s must be text, or set goTemplate", key)
		}
		for k, v := range below {
			text, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("values.%s must be text, or set goTemplate", k)
			}
			flat["values."+k] = text
		}
	}
	return flat, nil
}

// clusters gives those of the cluster Secrets that the selector matches, and without a
// selector the one that Argo CD runs on, which has no Secret.
func (s *set) clusters(body map[string]any) ([]params, error) {
	selector, err := selectorOf(body["selector"])
	if err != nil {
		return nil, err
	}
	known := s.knownClusters()
	local := func(c Cluster) bool { return strings.TrimRight(c.Server, "/") == InCluster }
	if selector.empty() && !slices.ContainsFunc(known, local) {
		known = append([]Cluster{{Name: inClusterName, Server: InCluster}}, known...)
	}
	var all []params
	for _, c := range known {
		if !selector.empty() && !selector.matches(c.Labels) {
			continue
		}
		p := s.clusterParams(c)
		if err := s.addValues(p, body["values"]); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(known) == 0 && !selector.empty() {
		s.warn("selects clusters by label, and no cluster Secret is known: give them as seeds")
	}
	if flat, _ := body["flatList"].(bool); flat && s.definition.Spec.GoTemplate {
		list := make([]any, len(all))
		for i := range all {
			list[i] = all[i]
		}
		return []params{{"clusters": list}}, nil
	}
	return all, nil
}

// knownClusters are those of the cluster Secrets, and what is given as this cluster where no
// Secret names it: Git does not hold such Secrets as a rule.
func (s *set) knownClusters() []Cluster {
	known := slices.Clone(s.settings.Clusters)
	here := ClusterName{Name: inClusterName, Server: InCluster}
	for _, c := range s.options.Clusters {
		is := func(k Cluster) bool { return c.meets(ClusterName{Name: k.Name, Server: k.Server}) }
		if !c.meets(here) && !slices.ContainsFunc(known, is) {
			known = append(known, Cluster{Name: cmp.Or(c.Name, c.Server), Server: c.Server})
		}
	}
	return known
}

func (s *set) clusterParams(c Cluster) params {
	p := params{"name": c.Name, "nameNormalized": normalized(c.Name), "server": c.Server, "project": c.Project}
	if s.definition.Spec.GoTemplate {
		p["metadata"] = map[string]any{"labels": anyMap(c.Labels), "annotations": anyMap(c.Annotations)}
		return p
	}
	for key, value := range c.Labels {
		p["metadata.labels."+key] = value
	}
	for key, value := range c.Annotations {
		p["metadata.annotations."+key] = value
	}
	return p
}

// addValues adds a generator's own values, which may use its parameters but not each
// other.
func (s *set) addValues(p params, values any) error {
	m, _ := values.(map[string]any)
	out := map[string]any{}
	for key, value := range m {
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("values.%s must be text", key)
		}
		rendered, err := s.templates.text(text, p)
		if err != nil {
			return fmt.Errorf("values.%s: %w", key, err)
		}
		out[key] = rendered
	}
	if s.definition.Spec.GoTemplate {
		if len(out) > 0 {
			p["values"] = out
		}
		return nil
	}
	for key, value := range out {
		p["values."+key] = value
	}
	return nil
}

// selected keeps the sets of parameters that the generator's selector matches.
func (s *set) selected(g map[string]any, given params, all []params) ([]params, error) {
	raw, ok := g["selector"]
	if !ok || raw == nil {
		return all, nil
	}
	if len(given) > 0 {
		tree, err := s.templates.tree(raw, given)
		if err != nil {
			return nil, fmt.Errorf("selector: %w", err)
		}
		raw = tree
	}
	selector, err := selectorOf(raw)
	if err != nil {
		return nil, err
	}
	var kept []params
	for _, p := range all {
		if selector.matches(flattened(p)) {
			kept = append(kept, p)
		}
	}
	return kept, nil
}
