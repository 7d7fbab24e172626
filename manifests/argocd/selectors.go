package argocd

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// selector chooses sets of parameters as labels are chosen, but with any text for a
// value: an address is no valid label.
type selector struct {
	MatchLabels      map[string]string `json:"matchLabels"`
	MatchExpressions []requirement     `json:"matchExpressions"`
}

type requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values"`
}

func selectorOf(raw any) (s selector, err error) {
	text, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, errors.New("selector is not valid: it has matchLabels and matchExpressions")
	}
	for _, r := range s.MatchExpressions {
		if !slices.Contains([]string{"In", "NotIn", "Exists", "DoesNotExist"}, r.Operator) {
			return s, fmt.Errorf("selector: operator %q is not known: use In, NotIn, Exists or DoesNotExist", cut(r.Operator))
		}
	}
	return s, nil
}

func (s selector) empty() bool { return len(s.MatchLabels)+len(s.MatchExpressions) == 0 }

func (s selector) matches(labels map[string]string) bool {
	for key, value := range s.MatchLabels {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return matchesAll(s.MatchExpressions, labels)
}

func matchesAll(all []requirement, labels map[string]string) bool {
	for _, r := range all {
		value, ok := labels[r.Key]
		in := ok && slices.Contains(r.Values, value)
		switch r.Operator {
		case "In":
			ok = in
		case "NotIn":
			ok = !in
		case "DoesNotExist":
			ok = !ok
		}
		if !ok {
			return false
		}
	}
	return true
}

// flattened is a tree as text: keys joined by dots, elements of lists by their number.
func flattened(p params) map[string]string {
	out := map[string]string{}
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, below := range v {
				walk(prefix+"."+key, below)
			}
		case []any:
			for i, below := range v {
				walk(prefix+"."+strconv.Itoa(i), below)
			}
		case []string:
			for i, below := range v {
				walk(prefix+"."+strconv.Itoa(i), below)
			}
		default:
			out[prefix] = fmt.Sprintf("%v", v)
		}
	}
	for key, value := range p {
		walk(key, value)
	}
	return out
}
