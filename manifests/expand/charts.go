package expand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
)

// ChartOptions say how charts are fetched and rendered.
type ChartOptions struct {
	// CacheDir keeps archives by digest; "" keeps nothing.
	CacheDir string
	// Mirrors are asked instead of the repositories that the state names.
	Mirrors []ChartMirror
	// Pins of an earlier expansion: the same charts are taken again, whatever their
	// repositories say now.
	Pins []ChartPin
	// Frozen releases of an earlier expansion of the same commit are not rendered again.
	Frozen []FrozenRelease
	// KubeVersion that templates see; "" for that of the built-in kinds.
	KubeVersion string
	// Offline fetches nothing: what needs it is a skipped definition.
	Offline bool
}

// ChartPin is a chart that was fetched: what was asked for and what came.
type ChartPin struct {
	// Repository as the state names it, without credentials, and Name of the chart in it,
	// "" when the repository is the chart itself.
	Repository, Name string
	// Requested is a version, a range, a tag or a digest, as the state has it.
	Requested string
	// Version and Digest of the archive; Manifest is that of an OCI registry.
	Version, Digest, Manifest string
}

// pinKey is what is the same in two requests for one chart.
type pinKey struct{ repository, name, requested string }

// fetchedKey is a request with the credentials that it came with.
type fetchedKey struct {
	pinKey
	auth string
}

func (p ChartPin) key() pinKey { return pinKey{p.Repository, p.Name, p.Requested} }

// Charts renders Helm charts for one expansion. It implements flux.Charts.
type Charts struct {
	options ChartOptions
	fetcher *chart.Fetcher
	pins    map[pinKey]ChartPin

	mu      sync.Mutex
	fetched map[fetchedKey]*chart.Fetched
	taken   map[pinKey]ChartPin
	given   map[releaseKey]FrozenRelease
	frozen  map[releaseKey]FrozenRelease
}

// NewCharts makes a renderer, which has to be a new one for each expansion.
func NewCharts(o ChartOptions) *Charts {
	c := &Charts{
		options: o, fetcher: &chart.Fetcher{CacheDir: o.CacheDir}, pins: map[pinKey]ChartPin{},
		fetched: map[fetchedKey]*chart.Fetched{}, taken: map[pinKey]ChartPin{},
		given: map[releaseKey]FrozenRelease{}, frozen: map[releaseKey]FrozenRelease{},
	}
	for _, f := range o.Frozen {
		c.given[f.key()] = f
	}
	for _, p := range o.Pins {
		c.pins[p.key()] = p
	}
	return c
}

// Taken lists the charts that were fetched, sorted.
func (c *Charts) Taken() []ChartPin {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.taken), func(a, b ChartPin) int {
		return cmp.Or(strings.Compare(a.Repository, b.Repository), strings.Compare(a.Name, b.Name), strings.Compare(a.Requested, b.Requested))
	})
}

// Frozen lists the releases that would come out differently another time, sorted.
func (c *Charts) Frozen() []FrozenRelease {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.frozen), func(a, b FrozenRelease) int {
		return cmp.Or(strings.Compare(a.Unit, b.Unit), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Release, b.Release), strings.Compare(a.Chart, b.Chart))
	})
}

// Render implements flux.Charts.
func (c *Charts) Render(ctx context.Context, r flux.ChartRequest) (*flux.Chart, error) {
	found, err := c.find(ctx, r.Source)
	if err != nil {
		return nil, err
	}
	if found, err = withValuesFiles(found, r); err != nil {
		return nil, err
	}
	// A kind that nobody knows so far may be known when more is rendered.
	unknown := false
	result, err := c.renderOnce(ctx, chart.Request{
		Chart: found, Unit: r.Unit, ReleaseName: r.Release, Namespace: r.Namespace, Values: r.Values, Redact: r.Redact,
		IncludeCRDs: !r.SkipCRDs, SkipSchemaValidation: r.NoSchema,
		KubeVersion: c.options.KubeVersion, APIVersions: r.Kinds, PostRender: r.PostRender, Twice: true,
		Namespaced: func(gk schema.GroupKind) (namespaced, known bool) {
			if r.Namespaced != nil {
				namespaced, known = r.Namespaced(gk)
			}
			unknown = unknown || !known
			return namespaced, known
		},
	})
	if err != nil {
		return nil, err
	}
	out := rendered(r, found, result)
	out.AsksForKinds = unknown || found.Mentions("APIVersions")
	return out, nil
}

// rendered is a chart's outcome as a unit of Flux wants it.
func rendered(r flux.ChartRequest, from *chart.Chart, result *chart.Result) *flux.Chart {
	unsteady(result, from)
	out := &flux.Chart{CRDs: result.Objects[:result.Definitions:result.Definitions], Warnings: result.Warnings}
	for _, o := range result.Objects[result.Definitions:] {
		if !r.NoHooks || o.Rules == nil || o.Rules.Hook == nil {
			out.Objects = append(out.Objects, o)
		}
	}
	if r.Source.FilePrefix != "" {
		for _, list := range [][]manifests.Object{out.CRDs, out.Objects} {
			for i := range list {
				list[i].Origin.File = r.Source.FilePrefix + list[i].Origin.File
			}
		}
	}
	return out
}

// unsteadily is the rule for what a chart renders differently each time.
const unsteadily = "rendered differently each time by "

// unsteady exempts what comes out differently each time from the comparison with a later
// rendering, and says so.
func unsteady(result *chart.Result, from *chart.Chart) {
	if len(result.NonDeterministic) == 0 {
		return
	}
	at := map[manifests.ID]int{}
	for i, o := range result.Objects {
		at[o.ID()] = i
	}
	for _, f := range result.NonDeterministic {
		i, ok := at[f.ID]
		if !ok || slices.Contains(f.Paths, "") {
			result.Warnings = append(result.Warnings, fmt.Sprintf("%s: %s (%s) is there or has another name each time it is rendered: a later rendering of the same commit is not the same", from, f.ID, f.Origin))
			continue
		}
		rules := manifests.Rules{}
		if o := result.Objects[i]; o.Rules != nil {
			rules = *o.Rules
		}
		rules.Ignore = append(slices.Clone(rules.Ignore), manifests.IgnoredFields{From: unsteadily + from.String(), Pointers: f.Paths})
		result.Objects[i].Rules = &rules
		result.Warnings = append(result.Warnings, fmt.Sprintf("%s: %s (%s): %s comes out differently each time it is rendered: give it as a value, or it will not match what is restored",
			from, f.ID, f.Origin, strings.Join(f.Paths, ", ")))
	}
}

// find reads or fetches a chart.
func (c *Charts) find(ctx context.Context, s flux.ChartSource) (*chart.Chart, error) {
	switch {
	case s.Files != nil:
		return c.fromTree(ctx, s.Files, s.Path, accessOf(s))
	case s.OCI != nil:
		ref, err := ociRef(*s.OCI)
		if err != nil {
			return nil, err
		}
		return chartOf(c.fetch(ctx, ref))
	case s.Repository == nil:
		return nil, errors.New("has no source")
	}
	auth, err := authOf(s.Repository.URL, s.Repository.Credentials, s.Repository.Certificates)
	if err != nil {
		return nil, err
	}
	return chartOf(c.fetch(ctx, chart.Ref{
		Repository: s.Repository.URL, Name: s.Repository.Chart, Version: s.Repository.Version,
		PlainHTTP: s.Repository.Insecure, Auth: auth, PassCredentials: s.Repository.PassCredentials,
	}))
}

func chartOf(f *chart.Fetched, err error) (*chart.Chart, error) {
	if err != nil {
		return nil, err
	}
	return f.Chart, nil
}

// ociRef asks for what an OCIRepository means.
func ociRef(o flux.OCIReference) (chart.Ref, error) {
	auth, err := authOf(o.URL, o.Credentials, o.Certificates)
	ref := chart.Ref{Repository: o.URL, PlainHTTP: o.Insecure, Auth: auth, MediaType: o.MediaType}
	switch {
	case err != nil:
		return ref, err
	case o.Digest != "":
		ref.Manifest = o.Digest
	case o.SemVer != "" && o.SemverFilter != "":
		return ref, errors.New("has a semverFilter, which is not supported for charts: write what it leaves as a range in semver")
	case o.SemVer != "":
		ref.Version = o.SemVer
	default:
		ref.Version = cmp.Or(o.Tag, "latest")
	}
	return ref, nil
}

// fetch a chart, or take what is pinned.
func (c *Charts) fetch(ctx context.Context, ref chart.Ref) (*chart.Fetched, error) {
	want := pinKey{withoutCredentials(ref.Repository), ref.Name, cmp.Or(ref.Manifest, ref.Version)}
	if ref.MediaType != "" && ref.MediaType != chart.LayerType {
		want.requested += ", layer " + ref.MediaType
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// What one source may read with its credentials must not serve another without.
	key := fetchedKey{want, sealOf("chart", map[string][]byte{
		"username": []byte(ref.Auth.Username), "password": []byte(ref.Auth.Password), "token": []byte(ref.Auth.BearerToken), "key": ref.Auth.ClientKey, "pass": []byte(fmt.Sprint(ref.PassCredentials)),
	})}
	if found := c.fetched[key]; found != nil {
		return found, nil
	}
	if c.options.Offline {
		return nil, &flux.SkippedError{Err: fmt.Errorf("is chart %s of %s, and nothing is fetched here",
			strings.TrimSpace(want.name+" "+want.requested), want.repository)}
	}
	ref, err := redirected(ref, c.options.Mirrors)
	if err != nil {
		return nil, err
	}
	if pin, ok := c.pins[want]; ok {
		ref.Version, ref.Digest, ref.Manifest = pin.Version, pin.Digest, pin.Manifest
	}
	got, err := c.fetcher.Fetch(ctx, ref)
	if err != nil {
		return nil, err
	}
	c.fetched[key] = got
	c.taken[want] = ChartPin{
		Repository: want.repository, Name: want.name, Requested: want.requested,
		Version: got.Pinned.Version, Digest: got.Pinned.Digest, Manifest: got.Pinned.Manifest,
	}
	return got, nil
}

// chartAccess gives what a repository that a chart depends on is read with.
type chartAccess func(repository string) (auth chart.Auth, passCredentials bool, err error)

// fromTree reads a chart of a repository. Nothing in a chart says with which credentials
// what it depends on is read; the definition that names the chart may know, or nil.
func (c *Charts) fromTree(ctx context.Context, files fs.FS, dir string, access chartAccess) (*chart.Chart, error) {
	return chart.FromFS(ctx, files, dir, chart.TreeOptions{Fetch: c.fetch, Auth: access})
}

// accessOf finds the repository that the state declares for an address.
func accessOf(s flux.ChartSource) chartAccess {
	if s.Declared == nil {
		return nil
	}
	return func(repository string) (chart.Auth, bool, error) {
		declared, err := s.Declared(repository)
		if err != nil || declared == nil {
			return chart.Auth{}, false, err
		}
		auth, err := authOf(declared.URL, declared.Credentials, declared.Certificates)
		return auth, declared.PassCredentials, err
	}
}

// withValuesFiles replaces the chart's own values by those of the files that a request
// names, as Flux does.
func withValuesFiles(from *chart.Chart, r flux.ChartRequest) (*chart.Chart, error) {
	if len(r.ValuesFiles) == 0 {
		return from, nil
	}
	var layers []map[string]any
	for _, name := range r.ValuesFiles {
		text, err := valuesFile(from, r.Source, name)
		if errors.Is(err, fs.ErrNotExist) && r.IgnoreMissingValuesFiles {
			continue
		}
		if err != nil {
			return nil, err
		}
		values, err := chart.ParseValues(name, text)
		if err != nil {
			return nil, err
		}
		layers = append(layers, values)
	}
	text, err := yaml.Marshal(chart.MergeValues(layers...))
	if err != nil {
		return nil, fmt.Errorf("write the values of valuesFiles: %w", err)
	}
	return from.WithValues(text), nil
}

func valuesFile(from *chart.Chart, s flux.ChartSource, name string) ([]byte, error) {
	if s.Files == nil {
		return from.ReadFile(name)
	}
	clean := strings.TrimPrefix(strings.TrimPrefix(name, "./"), "/")
	if !fs.ValidPath(clean) {
		return nil, fmt.Errorf("names the values file %q, which leaves the repository", name)
	}
	text, err := fs.ReadFile(s.Files, clean)
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("names the values file %q, which %s does not have: %w", name, s.From, fs.ErrNotExist)
	case errors.As(err, &at):
		return nil, fmt.Errorf("names the values file %q, which cannot be read: %w", name, at.Err)
	case err != nil:
		return nil, fmt.Errorf("names the values file %q, which cannot be read: %w", name, err)
	}
	return text, nil
}
