package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/itchyny/gojq"
)

const (
	// jqTimeout bounds one expression over one object, maxExpression its length in bytes
	// and maxPaths how much it may select.
	jqTimeout     = 2 * time.Second
	maxExpression = 4 << 10
	maxPaths      = 1000
	// maxDepth of a path; objects are not deeper.
	maxDepth = 128
)

// jqCache compiles each expression once: a rule often holds for many objects.
type jqCache struct {
	mu    sync.Mutex
	codes map[string]*gojq.Code
}

func newJQCache() *jqCache { return &jqCache{codes: map[string]*gojq.Code{}} }

func (c *jqCache) compile(expression string) (*gojq.Code, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("it is longer than %d bytes", maxExpression)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if code, ok := c.codes[expression]; ok {
		return code, nil
	}
	if _, err := gojq.Parse(expression); err != nil {
		return nil, fmt.Errorf("parse it: %w", err)
	}
	// An expression that selects nothing in an object is no error there.
	query, err := gojq.Parse(fmt.Sprintf("[limit(%d; path(%s\n))]", maxPaths+1, expression))
	if err != nil {
		return nil, fmt.Errorf("parse it: %w", err)
	}
	code, err := gojq.Compile(query) // with no access to files, environment or input
	if err != nil {
		return nil, fmt.Errorf("compile it: %w", err)
	}
	c.codes[expression] = code
	return code, nil
}

// paths that an expression selects in an object, sorted, each once and none below
// another one.
func (c *jqCache) paths(ctx context.Context, expression string, object map[string]any) (paths [][]string, err error) {
	code, err := c.compile(expression)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, jqTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			paths, err = nil, errors.New("it cannot be evaluated")
		}
	}()
	result, ok := code.RunWithContext(ctx, forJQ(object)).Next()
	if !ok {
		return nil, nil
	}
	if err, failed := result.(error); failed {
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return nil, fmt.Errorf("it took longer than %s", jqTimeout)
		case errors.Is(err, context.Canceled):
			return nil, err
		}
		// Mostly a field of another type than the expression expects, or none at all.
		return nil, nil
	}
	return selectedPaths(result)
}

func selectedPaths(result any) ([][]string, error) {
	list, _ := result.([]any)
	if len(list) > maxPaths {
		return nil, fmt.Errorf("it selects more than %d fields", maxPaths)
	}
	raw := make([][]any, 0, len(list))
	for _, item := range list {
		path, ok := item.([]any)
		if !ok || len(path) > maxDepth {
			return nil, errors.New("it selects no fields")
		}
		raw = append(raw, path)
	}
	slices.SortFunc(raw, func(a, b []any) int { return gojq.Compare(a, b) })
	var out [][]string
	for _, path := range raw {
		text := make([]string, len(path))
		for i, p := range path {
			switch s := p.(type) {
			case string:
				text[i] = s
			case int:
				text[i] = strconv.Itoa(s)
			default:
				return nil, errors.New("it selects parts of a list; select elements")
			}
		}
		if n := len(out); n == 0 || len(out[n-1]) > len(text) || !slices.Equal(out[n-1], text[:len(out[n-1])]) {
			out = append(out, text)
		}
	}
	return out, nil
}

// forJQ copies an object with numbers of the types that gojq takes.
func forJQ(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, below := range x {
			out[k] = forJQ(below)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, below := range x {
			out[i] = forJQ(below)
		}
		return out
	case int64:
		return int(x)
	}
	return v
}
