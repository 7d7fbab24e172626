// Package controlplane runs one real Kubernetes control plane in one directory,
// as processes that outlive the program that started them.
//
// A plane listens on one loopback port, that of its API server. etcd is reached
// through a socket in the plane's directory, which only its owner may enter, and
// the other components do not listen at all.
package controlplane

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/assets"
)

// Role says what a plane is for, and so which components it has.
type Role string

const (
	// Management has etcd, the API server, and a controller-manager that only
	// collects garbage and looks after namespaces and service accounts. It keeps
	// its data over a power failure.
	Management Role = "Management"
	// Workload has every controller, the scheduler, and kwok in place of nodes.
	// Its data is thrown away with it and is not synced to disk.
	Workload Role = "Workload"
	// Bare has etcd and the API server only: objects are kept and nobody acts on them.
	// Its data is not synced to disk. It is for tests.
	Bare Role = "Bare"
)

// Endpoint is where the API server of a plane answers.
type Endpoint struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// String is the URL of the endpoint.
func (e Endpoint) String() string { return "https://" + e.address() }

func (e Endpoint) address() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// User is who a client certificate is made for.
type User struct {
	Name   string
	Groups []string
	// Validity is how long the certificate holds; zero means one year.
	Validity time.Duration
}

// Admin may do everything, authorisation being bypassed for its group.
var Admin = User{Name: "refloat-admin", Groups: []string{"system:masters"}}

// Options say what plane to start.
type Options struct {
	// Dir is the plane's own directory; created with mode 0700.
	Dir string
	// Name is the name of the cluster in kubeconfigs and log lines.
	Name string
	Role Role
	// Binaries needs Kubernetes, and Kwok for a workload plane.
	Binaries assets.Binaries
	// Authorities are the keys of the plane. Nil means those in Dir, made on the
	// first start. When they differ from those in Dir, every certificate is made
	// anew and the components are restarted.
	Authorities *Authorities
	// AuditPolicy is an audit.k8s.io/v1 Policy; empty means no audit. The log is
	// the file log/audit.log in Dir.
	AuditPolicy []byte
	// Backoff spaces the restarts of a component that keeps ending.
	Backoff Backoff
	Log     logr.Logger
	// Clock defaults to the real one.
	Clock clock.WithTicker
}

// Backoff is a delay that doubles from First to Limit, and starts over after a
// component lived longer than Limit. The zero value means 250 ms to 10 s.
type Backoff struct {
	First, Limit time.Duration
}

// Status is what the records in a plane's directory say.
type Status struct {
	Name       string      `json:"name"`
	Role       Role        `json:"role"`
	Endpoint   Endpoint    `json:"endpoint"`
	Components []Component `json:"components"`
}

// Running says whether every component of the plane runs.
func (s Status) Running() bool {
	for _, c := range s.Components {
		if !c.Running {
			return false
		}
	}
	return len(s.Components) > 0
}

// Component is one process of a plane.
type Component struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid,omitempty"`
	Running bool      `json:"running"`
	Since   time.Time `json:"since,omitzero"`
	LogPath string    `json:"logPath"`
}

// ComponentError says that a component ended although it should run.
type ComponentError struct {
	Component string
	LogPath   string
	// Tail is the end of its log.
	Tail string
}

func (e *ComponentError) Error() string {
	if e.Tail == "" {
		return fmt.Sprintf("%s ended and wrote nothing to %s", e.Component, e.LogPath)
	}
	return fmt.Sprintf("%s ended; the end of %s says: %s", e.Component, e.LogPath, e.Tail)
}
