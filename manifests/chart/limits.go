package chart

import (
	"time"

	"github.com/refloat-dev/refloat/manifests/render"
)

// Limits bound what a chart may cost. Zero values mean the defaults.
type Limits struct {
	// IndexBytes of a repository's index, 64 MiB: the largest public ones are about 20.
	IndexBytes int64
	// ArchiveBytes of a packed chart: 20 MiB.
	ArchiveBytes int64
	// ExpandedBytes of a chart with all charts packed in it: 100 MiB.
	ExpandedBytes int64
	// Files of a chart with all charts in it: 10,000.
	Files int
	// FetchTime for one chart, index included: 5 minutes.
	FetchTime time.Duration
	// RenderTime for one rendering: 60 seconds.
	RenderTime time.Duration
	// Memory that the process may grow by during a rendering: 1 GiB.
	Memory int64
	// OutputBytes of all templates: 64 MiB.
	OutputBytes int64
	// Documents are the limits of what templates write.
	Documents render.Limits
}

const (
	// mostTags is how many tags of an OCI repository are looked at.
	mostTags = 100_000
	// mostMetadata is the largest manifest or page of tags.
	mostMetadata = 4 << 20
	// mostDepth is how deep charts may be packed in charts.
	mostDepth = 10
)

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		value    *int64
		fallback int64
	}{{&l.IndexBytes, 64 << 20}, {&l.ArchiveBytes, 20 << 20}, {&l.ExpandedBytes, 100 << 20}, {&l.Memory, 1 << 30}, {&l.OutputBytes, 64 << 20}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if l.Files <= 0 {
		l.Files = 10_000
	}
	if l.FetchTime <= 0 {
		l.FetchTime = 5 * time.Minute
	}
	if l.RenderTime <= 0 {
		l.RenderTime = time.Minute
	}
	return l
}
