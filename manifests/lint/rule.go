package lint

import "slices"

// Rule is one kind of fault.
type Rule struct {
	// ID never changes its meaning.
	ID string `json:"id"`
	// Severity of most findings; one may be weaker, and says why.
	Severity Severity `json:"severity"`
	// Title in a few words.
	Title string `json:"title"`
	// Why it bites on a fresh cluster only, and Fix what to do.
	Why string `json:"why"`
	Fix string `json:"fix"`
}

// Rules lists all rules, sorted by ID.
func Rules() []Rule {
	var all []Rule
	for _, group := range [][]Rule{kindRules, referenceRules, orderRules, backendRules, admissionRules, keyRules, noteRules} {
		all = append(all, group...)
	}
	slices.SortFunc(all, func(a, b Rule) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all
}

var byRule = func() map[string]Rule {
	m := map[string]Rule{}
	for _, r := range Rules() {
		m[r.ID] = r
	}
	return m
}()

// rule by its ID. One that is not in the table is a mistake that a test finds.
func rule(id string) Rule { return byRule[id] }

// Known tells whether there is a rule of that name.
func Known(id string) bool { return byRule[id].ID != "" }
