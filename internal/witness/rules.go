package witness

import (
	"fmt"
	"slices"
)

// Rule is one promise and the check that it was kept.
type Rule struct {
	Name string
	// Promise in one sentence, and where the design makes it.
	Promise, Design string
	check           func(*history) []string
}

// Breach of a rule.
type Breach struct {
	Rule string
	What string
}

func (b Breach) String() string { return b.Rule + ": " + b.What }

// Rules are all of them, in the order of the design.
func Rules() []Rule {
	return []Rule{
		{"one-run-per-cluster", "A run touches a cluster only while it holds the lock of that cluster.", "§2.1", oneRunPerCluster},
		{"inputs-stay-pinned", "Commit, render, plan and the identities of clusters never change once they are recorded.", "§2.2", inputsStayPinned},
		{"deletes-name-uid-and-version", "Every deletion carries the object's UID and resourceVersion, and none goes by a selector.", "§2.3", deletesAreBound},
		{"one-delete-per-incarnation", "A Cluster is deleted once.", "§2.3", oneDelete},
		{"stamped-before-deleted", "A Cluster carries the run's mark before the run deletes it.", "§2.3", stampedFirst},
		{"recorded-before-deleted", "The run says that it will delete a Cluster before it sends the deletion.", "§2.8", recordedFirst},
		{"deposed-never-deletes", "A process whose run was taken over deletes nothing any more.", "§2.3", deposedNeverDeletes},
		{"proven-before-deleted", "Commit, render and plan are proven and recorded before the first deletion.", "§2.4", provenFirst},
		{"budgets-are-kept", "No slot of a TeardownBudget is taken beyond its hour, and who took one has it when it deletes.", "§2.3", budgetsAreKept},
		{"only-the-plans-cluster", "Nothing outside of the run's namespace, its plan's cluster and its own drill is written.", "§2.5", onlyThePlans},
		{"live-cluster-left-alone", "Nothing is written into the cluster that was there before, but accounts to read it, and by a drain that the run recorded first.", "§2.5", liveLeftAlone},
		{"pinned-before-written", "Nothing is written into a new cluster before its kube-system was pinned.", "§2.5", pinnedFirst},
		{"marked-when-created", "What is made for a cluster carries the run, its epoch and the cluster's name from the first moment.", "§2.3", markedWhenCreated},
		{"created-once", "No object of a cluster is made twice by one run.", "§2.8", createdOnce},
		{"gates-before-dependants", "No object is sent before what it depends on is there.", "§2.7", gatesFirst},
		{"applied-once", "An object that is as the repository wants it is not changed again.", "§2.8", appliedOnce},
		{"nothing-deleted-inside", "A run deletes nothing in the cluster that it makes, but by a drain that it recorded first.", "§2.3", nothingDeletedInside},
		{"verified-by-fresh-reads", "After the last write every kind of the state is read from the new cluster before it counts as verified.", "§2.6", verifiedByReads},
		{"success-is-verified", "A run succeeds only with a complete match of more than nothing, or with its cluster gone.", "§2.6", successIsVerified},
		{"nothing-after-the-end", "A run that has its result touches no cluster any more.", "§2.8", nothingAfterTheEnd},
		{"record-of-who-serves", "A failover raises the epoch of the serving record once, before it deletes anything, and passes the record on once.", "§2.3", recordIsLawful},
		{"one-cluster-serves", "Nothing sends users to the new cluster before the old one is gone and the new one verified.", "§2.5", oneServes},
		{"hooks-act-once", "Every call of a hook is the same message under the same key, recorded before, and none comes after its answer.", "§2.8", hooksActOnce},
		{"failover-is-definite", "A failover succeeds only with the new side serving by the record; after a failure the record says who serves.", "§2.6", failoverIsDefinite},
		{"history-is-lawful", "Phases come in order and once, epochs rise, a result stays.", "§5", historyIsLawful},
		{"waits-are-explained", "A run that waits says what for and since when.", "§2.9", waitsAreExplained},
		{"status-stays-small", "The run never grows past 200 KiB.", "§5", statusStaysSmall},
		{"secrets-stay-secret", "No value of a Secret reaches status, events, reports, logs or addresses.", "§2.10", secretsStaySecret},
		{"nothing-left-behind", "At the end the lock is free and the run has no finalizer.", "§2.1", nothingLeftBehind},
	}
}

// Judge a case by every rule.
func Judge(c Case) []Breach {
	c.Events = sorted(slices.Clone(c.Events))
	h := newHistory(c)
	var found []Breach
	for _, rule := range Rules() {
		for _, what := range rule.check(h) {
			found = append(found, Breach{rule.Name, what})
		}
	}
	return found
}

// breaches collects sentences.
type breaches []string

func (b *breaches) add(ok bool, format string, args ...any) {
	if !ok {
		*b = append(*b, fmt.Sprintf(format, args...))
	}
}
