package render

import (
	"context"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// field checks one field of a kustomization. Fields that name no file are left to kustomize.
//
//nolint:gocyclo // one flat case for each field of a kustomization
func (s *survey) field(ctx context.Context, k *kustomization, dir, name string, value *yaml.Node, forConfigs bool) {
	switch name {
	case "resources", "bases", "components":
		for _, n := range value.Content {
			s.base(ctx, k, dir, name, n, forConfigs)
		}
	case "generators", "transformers", "validators":
		for _, n := range value.Content {
			if n = resolved(n); inline(n.Value) {
				s.inlineConfig(k.at(n, name), n.Value)
			} else {
				s.base(ctx, k, dir, name, n, true)
			}
		}
	case "crds", "configurations":
		for _, n := range value.Content {
			s.file(k.at(n, name), dir, resolved(n).Value)
		}
	case "patchesStrategicMerge":
		for _, n := range value.Content {
			if n = resolved(n); !inline(n.Value) {
				s.file(k.at(n, name), dir, n.Value)
			}
		}
	case "patches", "patchesJson6902", "replacements":
		for _, n := range value.Content {
			if p := field(resolved(n), "path"); p != nil && p.Value != "" {
				s.file(k.at(p, name+"[].path"), dir, p.Value)
			}
		}
	case "openapi":
		s.customSchema = true
		if p := field(value, "path"); p != nil {
			s.file(k.at(p, "openapi.path"), dir, p.Value)
		}
	case "configMapGenerator", "secretGenerator":
		s.generator(k, dir, name, value)
	case "helmChartInflationGenerator":
		s.faultBy(ErrProgram, k.at(value, name), "is not supported: it would run the helm program; write helmCharts, or render the chart into the repository")
	case "sortOptions":
		s.sorts = true
	}
}

// generator checks the files of a ConfigMap or Secret generator.
func (s *survey) generator(k *kustomization, dir, name string, value *yaml.Node) {
	for _, generator := range value.Content {
		for _, list := range []string{"files", "envs"} {
			entries := field(resolved(generator), list)
			if entries == nil {
				continue
			}
			for _, n := range entries.Content {
				file := resolved(n).Value
				if _, after, ok := strings.Cut(file, "="); ok && list == "files" {
					file = after
				}
				s.file(k.at(n, name+"[]."+list), dir, file)
			}
		}
		if env := field(resolved(generator), "env"); env != nil && env.Value != "" {
			s.file(k.at(env, name+"[].env"), dir, env.Value)
		}
	}
}

// base checks an entry that is a file of resources or a directory with a kustomization.
func (s *survey) base(ctx context.Context, k *kustomization, dir, name string, n *yaml.Node, forConfigs bool) {
	n = resolved(n)
	at := k.at(n, name)
	if isRemote(n.Value) {
		if name == "resources" && !forConfigs && s.r.options.AllowRemoteBases && isHTTP(n.Value) {
			s.fetch(ctx, k, dir, n)
			return
		}
		s.remote(at, n.Value)
		return
	}
	target, info, ok := s.stat(at, dir, n.Value)
	if !ok {
		return
	}
	if canonical, err := delink(s.r.files, target); err == nil {
		target = canonical
	}
	if info.IsDir() {
		s.directory(ctx, target, at, forConfigs)
		return
	}
	s.configs[target] = s.configs[target] || forConfigs
	if !s.listed[target] {
		s.listed[target] = true
		s.resources = append(s.resources, target)
	}
}

// file checks an entry that is read as a file.
func (s *survey) file(at place, dir, value string) {
	if isRemote(value) {
		s.remote(at, value)
		return
	}
	switch target, info, ok := s.stat(at, dir, value); {
	case !ok:
	case info.IsDir():
		s.fault(at, "names %s, which is a directory", target)
	default:
		s.decrypted(target)
	}
}

// stat finds what an entry names inside the repository.
func (s *survey) stat(at place, dir, value string) (string, fs.FileInfo, bool) {
	if value == "" {
		s.fault(at, "has an empty entry")
		return "", nil, false
	}
	target := path.Join(dir, value)
	if path.IsAbs(value) || target == ".." || strings.HasPrefix(target, "../") {
		s.fault(at, "names %q, which lies outside the repository", short(value))
		return "", nil, false
	}
	info, err := fs.Stat(s.r.files, target)
	if err != nil {
		s.fault(at, "names %q: %v", short(value), reason(err))
		return "", nil, false
	}
	return target, info, true
}

func (s *survey) remote(at place, value string) {
	next := "copy it into the repository, so that the commit says everything"
	if at.field == "resources" && isHTTP(value) {
		next += ", or allow remote bases"
	}
	s.fault(at, "names the remote %q: %s", redacted(value), next)
}

// onlyResources refuses configurations that are themselves the product of
// patches: what they would make kustomize load could not be known before.
func (s *survey) onlyResources(k *kustomization) {
	for i := 0; i+1 < len(k.root.Content); i += 2 {
		switch name := k.root.Content[i].Value; name {
		case "apiVersion", "kind", "metadata", "resources":
		default:
			s.fault(k.at(k.root.Content[i], name), "is not supported in a kustomization that configures generators, transformers or validators: list plain files")
		}
	}
}

// inlineConfig checks a transformer that is written inside the kustomization.
func (s *survey) inlineConfig(at place, text string) {
	docs, err := split(at.file, []byte(text), s.r.limits.Documents)
	if err != nil {
		s.faults = append(s.faults, err)
		return
	}
	for _, d := range docs {
		d.line = at.line
		root, err := s.r.parse(at.file, d)
		switch {
		case err != nil || root == nil:
		case root.Kind == yaml.MappingNode && s.program(place{file: at.file, line: d.at(root), field: at.field}, root):
			return
		case root.Kind != yaml.MappingNode:
			// kustomize would take such text for the name of a file or of a remote.
			err = inputErrorf(at.file, at.line, "%s has an entry that is %s, neither a path nor a configuration", at.field, kindOfNode(root))
		default:
			err = remoteInside(at.file, d, root, "")
		}
		if err != nil {
			s.faults = append(s.faults, err)
			return
		}
	}
}

// loads are the keys under which a transformer's configuration names files.
var loads = regexp.MustCompile(`^(?i)(path|paths|file|files|env|envs|resources|patches|configurations|transformers|generators|crds)$`)

// remoteInside finds a remote file in the configuration of a transformer.
func remoteInside(file string, d document, n *yaml.Node, key string) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := remoteInside(file, d, resolved(n.Content[i+1]), n.Content[i].Value); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for _, child := range n.Content {
			if err := remoteInside(file, d, resolved(child), key); err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		value := n.Value
		if _, after, ok := strings.Cut(value, "="); ok && isRemote(after) {
			value = after
		}
		if loads.MatchString(key) && isRemote(value) {
			return inputErrorf(file, d.at(n), "%s names the remote %q: copy it into the repository", key, redacted(value))
		}
	}
	return nil
}

// inline is true for an entry that is YAML text rather than a path.
func inline(value string) bool { return strings.Contains(strings.TrimSpace(value), "\n") }

var userAt = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*@`)

// isRemote is true for everything that kustomize might fetch or clone, and for a
// little more.
func isRemote(value string) bool {
	lower := strings.ToLower(strings.TrimSpace(value))
	if strings.Contains(lower, "://") || strings.HasPrefix(lower, "git::") ||
		strings.HasPrefix(lower, "github.com/") || strings.HasPrefix(lower, "github.com:") || userAt.MatchString(lower) {
		return true
	}
	return isHTTP(lower)
}

func isHTTP(value string) bool {
	u, err := url.Parse(value)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}

// redacted takes a user and a query, which may be secret, off a URL.
func redacted(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return short(value)
	}
	u.User, u.RawQuery = nil, ""
	return short(u.String())
}
