// Package certificate states in a signed form what a verification found: which cluster
// holds which commit, how that was compared and what was left out.
//
// A certificate is an in-toto statement (a subject with a digest, and a predicate of
// Refloat's own type) in a DSSE envelope, signed with Ed25519 or ECDSA over P-256. It
// can be checked with the public key alone, without access to the cluster. It never
// holds a value of a Secret.
package certificate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/manifests/verify"
)

const (
	// StatementType is in-toto's.
	StatementType = "https://in-toto.io/Statement/v1"
	// PredicateType is the meaning of the predicate, with its version.
	PredicateType = "https://refloat.dev/certificate/v1"
	// PayloadType of the envelope.
	PayloadType = "application/vnd.in-toto+json"
)

// Statement is what is signed.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// Subject is what the statement is about: the live state of a cluster.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Verdict of a verification.
type Verdict string

const (
	// Matches means that every rendered object is on the cluster as rendered, or exempt
	// by a rule that is listed.
	Matches Verdict = "Matches"
	// Differs means that it does not match.
	Differs Verdict = "Differs"
)

// Mode of a verification.
type Mode string

const (
	// Fast compares by values and the record of ownership and asks where that does not
	// suffice.
	Fast Mode = "fast"
	// Thorough asks the API server about every object.
	Thorough Mode = "thorough"
)

// Predicate says what was found, of what, and how.
type Predicate struct {
	Verdict    Verdict    `json:"verdict"`
	Cluster    Cluster    `json:"cluster"`
	Repository Repository `json:"repository"`
	// Plan and Run are empty when a cluster was verified without them.
	Plan string `json:"plan,omitempty"`
	Run  string `json:"run,omitempty"`
	// LiveDigest is the SHA-256 over the rendered fields of the live objects, empty
	// when the cluster differs.
	LiveDigest string `json:"liveDigest,omitempty"`
	Mode       Mode   `json:"mode"`
	Counts     Counts `json:"counts"`
	// What was left out or could not be shown, the first of each; Counts has them all.
	Exempt      []Item `json:"exempt,omitempty"`
	Weak        []Item `json:"weak,omitempty"`
	NotProvable []Item `json:"notProvable,omitempty"`
	Extra       []Item `json:"extra,omitempty"`
	// StableSeconds is how long the objects were seen to stay healthy.
	StableSeconds float64   `json:"stableSeconds"`
	StartedAt     time.Time `json:"startedAt"`
	FinishedAt    time.Time `json:"finishedAt"`
	// RefloatVersion that verified.
	RefloatVersion string `json:"refloatVersion"`
}

// Cluster that was verified.
type Cluster struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// UID of the Cluster object on the management cluster, empty without one.
	UID string `json:"uid,omitempty"`
	// KubeSystemUID is the UID of the namespace kube-system, which tells clusters apart.
	KubeSystemUID string `json:"kubeSystemUID"`
	// Simulated clusters run no container.
	Simulated bool `json:"simulated,omitempty"`
}

// Repository that the cluster was compared with.
type Repository struct {
	URL          string     `json:"url,omitempty"`
	Commit       string     `json:"commit"`
	CommitTime   *time.Time `json:"commitTime,omitempty"`
	RenderDigest string     `json:"renderDigest"`
}

// Counts of objects.
type Counts struct {
	Rendered    int `json:"rendered"`
	Matched     int `json:"matched"`
	Skipped     int `json:"skipped"`
	Missing     int `json:"missing"`
	Changed     int `json:"changed"`
	Extra       int `json:"extra"`
	Healthy     int `json:"healthy"`
	Unhealthy   int `json:"unhealthy"`
	Exempt      int `json:"exempt"`
	Weak        int `json:"weak"`
	NotProvable int `json:"notProvable"`
}

// Item is one object and what there is to say about it.
type Item struct {
	Object string `json:"object"`
	Rule   string `json:"rule,omitempty"`
	Detail string `json:"detail,omitempty"`
}

const (
	// maxItems of each list, and maxDetail bytes of each text.
	maxItems  = 100
	maxDetail = 300
)

// Facts are what a verification does not know itself.
type Facts struct {
	Cluster               Cluster
	Repository            Repository
	Plan, Run             string
	StartedAt, FinishedAt time.Time
	RefloatVersion        string
}

// New makes the statement of a verification. Its verdict is that of the report.
func New(r *verify.Report, f Facts) *Statement {
	p := Predicate{
		Verdict: Differs, Cluster: f.Cluster, Repository: f.Repository, Plan: f.Plan, Run: f.Run, Mode: Fast,
		Counts: Counts{
			Rendered: r.Rendered, Matched: r.Matched, Skipped: r.Skipped, Missing: len(r.Missing), Changed: len(r.Changed),
			Extra: len(r.Extra), Healthy: r.Healthy, Unhealthy: len(r.Unhealthy), Exempt: len(r.Exempt), Weak: len(r.Weak),
			NotProvable: len(r.NotProvable),
		},
		Exempt: items(r.Exempt), Weak: items(r.Weak), NotProvable: items(r.NotProvable), Extra: items(r.Extra),
		StableSeconds: r.StableFor.Seconds(), StartedAt: f.StartedAt.UTC(), FinishedAt: f.FinishedAt.UTC(),
		RefloatVersion: f.RefloatVersion,
	}
	if r.Thorough {
		p.Mode = Thorough
	}
	if p.Cluster.KubeSystemUID == "" {
		p.Cluster.KubeSystemUID = r.ClusterID
	}
	digest := f.Repository.RenderDigest
	subject := "render"
	if r.Clean() {
		p.Verdict, p.LiveDigest = Matches, r.LiveDigest
		subject, digest = "live state", r.LiveDigest
	}
	return &Statement{
		Type: StatementType, PredicateType: PredicateType, Predicate: p,
		Subject: []Subject{{Name: subject, Digest: map[string]string{"sha256": digest}}},
	}
}

func items(findings []verify.Finding) []Item {
	var out []Item
	for _, f := range findings[:min(len(findings), maxItems)] {
		out = append(out, Item{Object: f.ID.String(), Rule: clip(f.Rule), Detail: clip(f.Detail)})
	}
	return out
}

func clip(text string) string {
	if len(text) <= maxDetail {
		return text
	}
	return strings.ToValidUTF8(text[:maxDetail], "") + "…"
}

// errNoStatement is said of a signed text that is something else.
var errNoStatement = errors.New("it is signed, but it is no certificate of Refloat")

func decode(payload []byte) (*Statement, error) {
	s := &Statement{}
	if err := json.Unmarshal(payload, s); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoStatement, err)
	}
	if s.Type != StatementType || s.PredicateType != PredicateType {
		return nil, fmt.Errorf("%w of a version that is known here: type %.100q, predicate %.100q", errNoStatement, s.Type, s.PredicateType)
	}
	if v := s.Predicate.Verdict; v != Matches && v != Differs {
		return nil, fmt.Errorf("%w: its verdict is %.100q", errNoStatement, v)
	}
	return s, nil
}
