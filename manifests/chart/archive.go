package chart

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	helmloader "helm.sh/helm/v4/pkg/chart/v2/loader"
)

// Chart is a chart's files, read and within the limits. It does not change: it may be
// rendered many times, also at once.
type Chart struct {
	Name, Version string
	// Dir of the chart in the repository; "" for one that was fetched.
	Dir string
	// Digest of the archive, sha256:…; "" for a chart in the repository.
	Digest string
	// Dependencies that were fetched because the repository does not hold them.
	Dependencies []Pinned

	files  []file
	limits Limits
}

// file of a chart, by its path in it. Charts packed in it are unpacked.
type file struct {
	name string
	data []byte
}

// String names the chart in messages: chart podinfo 6.7.0, or chart charts/podinfo.
func (c *Chart) String() string {
	if c.Dir != "" {
		return "chart " + c.Dir
	}
	return fmt.Sprintf("chart %s %s", c.Name, c.Version)
}

// FromArchive opens a packed chart.
func FromArchive(data []byte, limits Limits) (*Chart, error) {
	limits = limits.withDefaults()
	u := &unpacker{limits: limits, bytes: limits.ExpandedBytes}
	files, err := u.archive(data, "", 0)
	if err != nil {
		return nil, err
	}
	c := &Chart{Digest: digestOf(data), files: files, limits: limits}
	return c, c.identify()
}

// unpacker unpacks archives in archives under one budget.
type unpacker struct {
	limits Limits
	bytes  int64
	files  int
}

// packed is a chart packed in a chart's charts directory, at any level.
var packed = regexp.MustCompile(`^(charts/[^/]+/)*charts/[^/._][^/]*\.tgz$`)

// archive unpacks one archive; at is where its files go.
func (u *unpacker) archive(data []byte, at string, depth int) ([]file, error) {
	if depth > mostDepth {
		return nil, fmt.Errorf("charts are packed in charts more than %d deep: %w", mostDepth, ErrLimit)
	}
	if err := u.measure(data); err != nil {
		return nil, err
	}
	loaded, err := archive.LoadArchiveFiles(bytes.NewReader(data))
	if err != nil {
		return nil, &InvalidError{Message: "the archive is not one of a chart: " + printable(err.Error())}
	}
	var all []file
	for _, f := range loaded {
		if u.files++; u.files > u.limits.Files {
			return nil, fmt.Errorf("it holds more than %d files: %w", u.limits.Files, ErrLimit)
		}
		more, err := u.add(file{path.Join(at, f.Name), f.Data}, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// add unpacks a file that is a chart in its place, so that Helm's loader, which has no
// limit over several archives, never meets one.
func (u *unpacker) add(f file, depth int) ([]file, error) {
	if !packed.MatchString(f.name) {
		return []file{f}, nil
	}
	inner, err := u.archive(f.data, strings.TrimSuffix(f.name, ".tgz")+"~", depth+1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(f.name), err)
	}
	return inner, nil
}

// measure unpacks to nowhere: headers and links count as well, and a bomb is found
// before it is in memory.
func (u *unpacker) measure(data []byte) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return &InvalidError{Message: "the archive is not one of a chart: it is not compressed with gzip"}
	}
	n, err := io.Copy(io.Discard, io.LimitReader(unzipped, u.bytes+1))
	if n > u.bytes {
		return fmt.Errorf("it expands to more than %d bytes: %w", u.limits.ExpandedBytes, ErrLimit)
	}
	if err != nil {
		return &InvalidError{Message: "the archive is damaged: " + printable(err.Error())}
	}
	u.bytes -= n
	return nil
}

// identify reads who the chart is and that Helm can load it.
func (c *Chart) identify() error {
	loaded, err := c.load()
	if err != nil {
		return err
	}
	c.Name, c.Version = loaded.Metadata.Name, loaded.Metadata.Version
	return nil
}

// load makes Helm's form of the chart. Helm changes it while it works, so each
// rendering has its own.
func (c *Chart) load() (loaded *helmchart.Chart, err error) {
	discreetly()
	defer func() {
		if p := recover(); p != nil {
			loaded, err = nil, &InvalidError{Message: fmt.Sprintf("%s cannot be read: %s", c, printable(fmt.Sprint(p)))}
		}
	}()
	files := make([]*archive.BufferedFile, len(c.files))
	for i, f := range c.files {
		files[i] = &archive.BufferedFile{Name: f.name, Data: slices.Clone(f.data)}
	}
	loaded, err = helmloader.LoadFiles(files)
	if err != nil {
		return nil, &InvalidError{Message: fmt.Sprintf("%s cannot be read: %s", c.loadName(), printable(err.Error()))}
	}
	arrange(loaded)
	return loaded, nil
}

func (c *Chart) loadName() string {
	if c.Name == "" && c.Dir == "" {
		return "the chart"
	}
	return c.String()
}

// arrange puts what Helm's loader leaves in the order of a map into a fixed one: which
// of two templates of the same name counts must not change from one time to the next.
func arrange(c *helmchart.Chart) {
	dependencies := slices.Clone(c.Dependencies())
	slices.SortStableFunc(dependencies, func(a, b *helmchart.Chart) int {
		if byName := strings.Compare(a.Name(), b.Name()); byName != 0 {
			return byName
		}
		return strings.Compare(a.Metadata.Version, b.Metadata.Version)
	})
	c.SetDependencies(dependencies...)
	slices.SortFunc(c.Templates, func(a, b *common.File) int { return strings.Compare(a.Name, b.Name) })
	for _, d := range dependencies {
		arrange(d)
	}
}

// missing lists dependencies that Chart.yaml names and the chart does not hold.
func missing(c *helmchart.Chart) []*helmchart.Dependency {
	var absent []*helmchart.Dependency
	for _, want := range c.Metadata.Dependencies {
		if want == nil {
			continue
		}
		held := slices.ContainsFunc(c.Dependencies(), func(have *helmchart.Chart) bool {
			return have.Name() == want.Name && compatible(want.Version, have.Metadata.Version)
		})
		if !held {
			absent = append(absent, want)
		}
	}
	return absent
}

// compatible is true for a version in a range; a dependency may leave its range out.
func compatible(want, version string) bool {
	if want == "" {
		return true
	}
	_, ok, err := pick([]string{version}, want)
	return ok && err == nil
}

// ReadFile gives one of the chart's own files, for example another file of values.
func (c *Chart) ReadFile(name string) ([]byte, error) {
	clean := path.Clean(name)
	for _, f := range c.files {
		if f.name == clean {
			return slices.Clone(f.data), nil
		}
	}
	return nil, fmt.Errorf("%s has no file %q: %w", c, printable(name), errNoFile)
}

// Glob lists the chart's own files that a pattern matches, sorted; ** matches directories.
func (c *Chart) Glob(pattern string) []string {
	var names []string
	for _, f := range c.files {
		if ok, err := doublestar.Match(path.Clean(pattern), f.name); ok && err == nil {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}

// errNoFile is fs.ErrNotExist for those who ask.
var errNoFile error = noFileError{}

type noFileError struct{}

func (noFileError) Error() string        { return "check the name" }
func (noFileError) Is(target error) bool { return target == fs.ErrNotExist }

// WithValues is the same chart with another values.yaml.
func (c *Chart) WithValues(text []byte) *Chart {
	const name = "values.yaml"
	other := *c
	other.files = slices.DeleteFunc(slices.Clone(c.files), func(f file) bool { return f.name == name })
	other.files = append(other.files, file{name, slices.Clone(text)})
	return &other
}

// Mentions says whether a text occurs in any template of the chart or of the charts in it.
func (c *Chart) Mentions(text string) bool {
	return slices.ContainsFunc(c.files, func(f file) bool {
		return strings.Contains("/"+f.name, "/templates/") && bytes.Contains(f.data, []byte(text))
	})
}
