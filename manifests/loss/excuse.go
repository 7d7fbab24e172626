package loss

import (
	"fmt"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/manifests"
)

// Waiver says that some objects may be lost, why, and until when.
type Waiver struct {
	Pattern manifests.Pattern
	Reason  string
	Until   time.Time
}

// covers an item. The data of volumes is waived by those alone who name its kind.
func (w Waiver) covers(i Item) bool {
	return w.Pattern.Matches(i.ID) && (i.What != Data || w.Pattern.Kind == i.ID.Kind)
}

func (w Waiver) pattern() string {
	star := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	return manifests.ID{Group: w.Pattern.Group, Kind: star(w.Pattern.Kind), Namespace: star(w.Pattern.Namespace), Name: star(w.Pattern.Name)}.String()
}

// Accepted is a list of losses that somebody has seen and taken. It counts for the
// cluster that it was taken of, and until it expires.
type Accepted struct {
	ClusterID string    `json:"clusterID"`
	By        string    `json:"by,omitempty"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
	Until     time.Time `json:"until"`
	Items     []Taken   `json:"items"`
}

// Taken is one accepted loss: an object, the named fields of one, or data.
type Taken struct {
	Key string `json:"key"`
	// Fields that were lost then.
	Fields []string `json:"fields,omitempty"`
}

// Accept what a preview lists. What was left out of the list is not accepted.
func Accept(p *Preview, by, reason string, until time.Time) *Accepted {
	a := &Accepted{ClusterID: p.ClusterID, By: by, Reason: reason, At: p.At, Until: until}
	for _, i := range p.Lost {
		t := Taken{Key: i.key()}
		for _, f := range i.Fields {
			t.Fields = append(t.Fields, f.Path)
		}
		a.Items = append(a.Items, t)
	}
	return a
}

// taken by key, for looking up.
func (a *Accepted) taken() map[string]Taken {
	out := map[string]Taken{}
	if a != nil {
		for _, t := range a.Items {
			out[t.Key] = t
		}
	}
	return out
}

// covers an item. More fields than were accepted are a new loss.
func (t Taken) covers(i Item) bool {
	return !slices.ContainsFunc(i.Fields, func(f Field) bool { return !slices.Contains(t.Fields, f.Path) })
}

// void says why an accepted list does not count; empty when it does.
func (a *Accepted) void(clusterID string, now time.Time) string {
	switch {
	case a.ClusterID != clusterID:
		return "the accepted list is of an earlier life of the cluster"
	case !now.Before(a.Until):
		return "the accepted list expired at " + a.Until.UTC().Format(time.RFC3339)
	}
	return ""
}

// excuse of a lost item; empty when it has none.
func (j *judge) excuse(i Item) string {
	for _, w := range j.Waivers {
		if j.Now.Before(w.Until) && w.covers(i) {
			return fmt.Sprintf("waived until %s: %s", w.Until.UTC().Format(time.RFC3339), bounded(w.Reason))
		}
	}
	if t, ok := j.taken[i.key()]; ok && j.Accepted.void(j.ClusterID, j.Now) == "" && t.covers(i) {
		a := j.Accepted
		return fmt.Sprintf("accepted until %s: %s", a.Until.UTC().Format(time.RFC3339), bounded(a.Reason))
	}
	return ""
}

// expired waivers and accepted lists, which would have excused something.
func (j *judge) expired() []string {
	var out []string
	for _, w := range j.Waivers {
		if !j.Now.Before(w.Until) && slices.ContainsFunc(j.preview.Lost, func(i Item) bool { return i.Counts() && w.covers(i) }) {
			out = append(out, fmt.Sprintf("the waiver of %s expired at %s", w.pattern(), w.Until.UTC().Format(time.RFC3339)))
		}
	}
	if a := j.Accepted; a != nil {
		if why := a.void(j.ClusterID, j.Now); why != "" {
			out = append(out, why)
		}
	}
	return out
}
