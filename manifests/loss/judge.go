package loss

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// AnnotationDisposable on an object, a claim or a namespace declares, with a reason, that
// it need not come back.
const AnnotationDisposable = "refloat.dev/disposable"

// Rules say what counts.
type Rules struct {
	Now time.Time
	// MaxBackupAge of backups and snapshots; with 0 none of them counts.
	MaxBackupAge time.Duration
	// DisposableData is the reason for which the data of every volume is disposable;
	// empty when it is not.
	DisposableData string
	// Simulated says that no container ran on the cluster, so that none wrote data.
	Simulated bool
	Waivers   []Waiver
	Accepted  *Accepted
}

// Contents of a cluster.
type Contents struct {
	Live      []verify.Live
	Changed   []verify.Finding
	ClusterID string
	// Managers under which objects of the repository are applied.
	Managers []string
}

// judge holds one judgement under way.
type judge struct {
	Rules
	Contents
	byID    map[manifests.ID]*verify.Live
	sources *sources
	taken   map[string]Taken
	groups  map[Group]Group
	preview *Preview
}

// Judge what would be lost. It is pure.
func Judge(c Contents, rules Rules) *Preview {
	j := &judge{
		Rules: rules, Contents: c, byID: make(map[manifests.ID]*verify.Live, len(c.Live)), groups: map[Group]Group{}, taken: rules.Accepted.taken(),
		preview: &Preview{ClusterID: c.ClusterID, At: rules.Now, Live: len(c.Live)},
	}
	for i := range c.Live {
		j.byID[c.Live[i].ID] = &c.Live[i]
	}
	j.sources = gather(c.Live, rules)
	for i := range c.Live {
		j.add(j.object(&c.Live[i]))
	}
	for _, f := range c.Changed {
		if item, changed := j.changed(f); changed {
			j.add(item)
		}
	}
	for _, item := range j.volumes() {
		j.add(item)
	}
	j.preview.Notes = append(j.preview.Notes, j.sources.notes...)
	return j.finish()
}

// add an item to the list that it belongs to, and count it.
func (j *judge) add(item Item) {
	if item.Class == Lost {
		item.Excuse = j.excuse(item)
		j.preview.Lost = append(j.preview.Lost, item)
	} else if item.What == Data {
		j.preview.Volumes = append(j.preview.Volumes, item)
	}
	key := Group{Class: item.Class, Reason: item.Reason}
	g, ok := j.groups[key]
	if !ok {
		g = Group{Class: item.Class, Reason: item.Reason, Example: item.ID}
	}
	g.Count++
	if item.ID.Compare(g.Example) < 0 {
		g.Example = item.ID
	}
	j.groups[key] = g
}

func (j *judge) finish() *Preview {
	p := j.preview
	for _, g := range j.groups {
		p.Groups = append(p.Groups, g)
	}
	slices.SortFunc(p.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), strings.Compare(a.Reason, b.Reason))
	})
	slices.SortStableFunc(p.Lost, compare)
	slices.SortStableFunc(p.Volumes, compare)
	p.Total = len(p.Counting())
	p.Notes = append(p.Notes, j.expired()...)
	return p
}

// object judges one live object, without the data of volumes.
func (j *judge) object(l *verify.Live) Item {
	item := Item{What: Object, ID: l.ID, UID: string(l.UID), By: last(l.Writers)}
	item.Class, item.Reason = j.class(l)
	if item.Class == Lost || l.Class == verify.Rendered {
		return item
	}
	if fields := handMade(l); len(fields) > 0 && !l.Deleting {
		// It comes back without what a person put into it.
		item.What, item.Fields, item.By = Fields, fields, lastOf(fields)
		item.Class, item.Reason = j.orDisposable(l, "a person changed it, and "+comesBack(l.Class)+" without that")
	}
	return item
}

func comesBack(class verify.Class) string {
	switch class {
	case verify.Expected:
		return "the run writes it"
	case verify.Derived:
		return "its owner makes it"
	}
	return "Kubernetes makes it"
}

// class of a live object by itself.
func (j *judge) class(l *verify.Live) (Class, string) {
	switch {
	case l.Class == verify.Rendered:
		return InGit, "it is in the repository"
	case l.Deleting:
		return Derived, "it is being deleted already"
	case l.Class == verify.Expected:
		return j.expectedClass(l)
	case l.Class == verify.System:
		return Kubernetes, l.Reason
	case l.Class == verify.Derived && !(len(l.Owners) > 0 && attachedByHand(l)):
		return Derived, l.Reason
	}
	if j.takenOut(l) {
		return InGit, "an earlier commit had it, and the repository has it no more"
	}
	if class, reason := j.orDisposable(l, ""); class == Disposable {
		return class, reason
	}
	reason := "it is not in the repository"
	if len(l.Owners) > 0 {
		reason = "a person made it and tied it to its owner, which does not make it"
	}
	if covered, why := j.sources.object(l); covered {
		return Covered, why
	} else if why != "" {
		reason += "; " + why
	}
	return Lost, reason
}

// expectedClass believes what the caller expects, and no label that anybody can set.
func (j *judge) expectedClass(l *verify.Live) (Class, string) {
	if l.Labels[manifests.SeedLabel] != "" && l.Reason == verify.SeedByLabel {
		return Lost, "it is labelled as a seed, and the plan names no such seed"
	}
	return InGit, l.Reason
}

// attachedByHand tells whether nobody but people wrote an object that has owners, none of
// which is its controller: no controller would make it again.
func attachedByHand(l *verify.Live) bool {
	for _, o := range l.Owners {
		if o.Controller != nil && *o.Controller {
			return false
		}
	}
	for _, w := range l.Writers {
		if !w.ByHand() {
			return false
		}
	}
	return len(l.Writers) > 0
}

// takenOut tells whether an object was applied from the repository, by nobody else, and
// is not in the present commit: whoever removed it there meant to.
func (j *judge) takenOut(l *verify.Live) bool {
	applied := false
	for _, w := range l.Writers {
		if !j.ours(w.Manager) && !w.Kubernetes() {
			return false
		}
		applied = applied || slices.Contains(j.Managers, w.Manager) && w.Operation == "Apply"
	}
	return applied
}

// orDisposable is Lost with the reason, unless the object or its namespace is declared
// disposable.
func (j *judge) orDisposable(l *verify.Live, reason string) (Class, string) {
	if why := strings.TrimSpace(l.Annotations[AnnotationDisposable]); why != "" {
		return Disposable, "declared disposable: " + bounded(why)
	}
	if ns := j.byID[manifests.ID{Kind: "Namespace", Name: l.ID.Namespace}]; l.ID.Namespace != "" && ns != nil {
		if why := strings.TrimSpace(ns.Annotations[AnnotationDisposable]); why != "" {
			return Disposable, "its namespace is declared disposable: " + bounded(why)
		}
	}
	return Lost, reason
}

// mostReason bounds what people wrote in a reason, in bytes.
const mostReason = 200

func bounded(s string) string {
	if len(s) <= mostReason {
		return s
	}
	return strings.ToValidUTF8(s[:mostReason], "") + "…"
}
