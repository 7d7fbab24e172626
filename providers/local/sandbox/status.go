package sandbox

import (
	"errors"
	"io/fs"
	"time"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// Status of a sandbox, from the records of its processes.
type Status struct {
	Dir        string `json:"dir"`
	Kubeconfig string `json:"kubeconfig"`
	// Endpoint of the management plane's API server.
	Endpoint   string      `json:"endpoint,omitempty"`
	Components []Component `json:"components"`
	Clusters   []Cluster   `json:"clusters"`
}

// Component is one process.
type Component struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid,omitempty"`
	Running bool      `json:"running"`
	Since   time.Time `json:"since,omitzero"`
	Log     string    `json:"log"`
}

// Cluster is one that the local provider made.
type Cluster struct {
	Name       string      `json:"name"`
	Endpoint   string      `json:"endpoint"`
	Components []Component `json:"components"`
}

// Running says whether every process of the management side runs.
func (s Status) Running() bool {
	for _, c := range s.Components {
		if !c.Running {
			return false
		}
	}
	return len(s.Components) > 0
}

// Inspect the sandbox in dir. It returns ErrNone when there is none.
func Inspect(dir string) (Status, error) {
	dir, err := process.Canonical(dir)
	if err != nil {
		return Status{}, err
	}
	l := layout(dir)
	if _, err := l.readSettings(); err != nil {
		return Status{}, err
	}
	s := Status{Dir: dir, Kubeconfig: l.kubeconfig(), Clusters: []Cluster{}}
	for _, name := range []string{Supervisor, Controller, ClusterAPICore} {
		c := Component{Name: name, Log: process.LogPath(dir, name)}
		if r, err := process.Find(dir, name); err == nil {
			c.PID, c.Running, c.Since = r.PID, true, r.StartedAt
		}
		s.Components = append(s.Components, c)
	}
	plane, err := controlplane.Inspect(l.management())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err == nil {
		s.Endpoint = plane.Endpoint.String()
		s.Components = append(s.Components, componentsOf(plane)...)
	}
	planes, err := l.clusterPlanes()
	if err != nil {
		return s, err
	}
	for _, dir := range planes {
		// A cluster may go away while it is looked at.
		if p, err := controlplane.Inspect(dir); err == nil {
			s.Clusters = append(s.Clusters, Cluster{Name: p.Name, Endpoint: p.Endpoint.String(), Components: componentsOf(p)})
		}
	}
	return s, nil
}

func componentsOf(p controlplane.Status) []Component {
	var all []Component
	for _, c := range p.Components {
		all = append(all, Component{Name: c.Name, PID: c.PID, Running: c.Running, Since: c.Since, Log: c.LogPath})
	}
	return all
}
