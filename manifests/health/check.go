package health

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

const (
	// checkTime is how long one evaluation of a check may take.
	checkTime = time.Second
	// maxCheck bounds the text of a check, in bytes.
	maxCheck = 64 << 10
	// maxPrograms bounds how many compiled checks are kept.
	maxPrograms = 1_000
)

var (
	errTime  = fmt.Errorf("it took longer than %s and was stopped: make it simpler", checkTime)
	errSteps = errors.New("it does too much, as a loop without end does, and was stopped: make it simpler")
	errText  = errors.New("it makes too much text and was stopped: make it simpler")
)

// checked assesses an object by the rule of the repository. An evaluation that goes
// wrong is never healthy, and not a failure either: often a field is only not there yet.
func checked(u *unstructured.Unstructured, env Environment, c *manifests.HealthCheck) Assessment {
	gk := u.GroupVersionKind().GroupKind()
	if env.Simulated && builtin.Lookup(gk) == nil && silent(u) {
		return notProvable("its health check%s reads a status that an operator writes, which does not run on a simulated cluster", from(c))
	}
	var a Assessment
	err := guarded(func() (err error) {
		if c.Lua != "" {
			a, err = byLua(u, env, c)
		} else {
			a, err = byCEL(u, env, c)
		}
		return err
	})
	if err == nil {
		return a
	}
	if invalid := (*invalidCheckError)(nil); errors.As(err, &invalid) {
		return failed("its health check%s is not valid: %v", from(c), err)
	}
	return progressing("its health check%s could not be evaluated%s", from(c), said(gk, err.Error()))
}

// Validate compiles a check, so that one which never can be evaluated is found before
// anything waits for it.
func Validate(c *manifests.HealthCheck) error {
	err := guarded(func() error {
		if c.Lua != "" {
			_, err := script(c.Lua)
			return err
		}
		if c.Current == "" {
			return &invalidCheckError{"it has neither a Lua script nor an expression for current"}
		}
		for _, text := range []string{c.InProgress, c.Failed, c.Current} {
			if text == "" {
				continue
			}
			if _, err := expression(text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the health check%s is not valid: %w", from(c), err)
	}
	return nil
}

// invalidCheckError is a fault of the check that no object can repair.
type invalidCheckError struct{ message string }

func (e *invalidCheckError) Error() string { return bounded(e.message) }

func from(c *manifests.HealthCheck) string {
	if c.From == "" {
		return ""
	}
	return " (" + c.From + ")"
}

// said is what a check or an error about it says. About Secrets nothing is repeated: it
// may quote values.
func said(gk schema.GroupKind, message string) string {
	if message == "" || gk == (schema.GroupKind{Kind: "Secret"}) {
		return ""
	}
	return ": " + message
}

func guarded(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the evaluation broke off")
		}
	}()
	return f()
}

// programs are compiled checks by their text.
type programs[P any] struct {
	mu    sync.Mutex
	kept  map[string]P
	wrong map[string]error
}

// get compiles a text once. What is beyond the bound is compiled each time.
func (p *programs[P]) get(text string, compile func(string) (P, error)) (P, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if program, ok := p.kept[text]; ok {
		return program, nil
	}
	if err, ok := p.wrong[text]; ok {
		var none P
		return none, err
	}
	var program P
	err := error(&invalidCheckError{fmt.Sprintf("it is longer than %d bytes", maxCheck)})
	if len(text) <= maxCheck {
		err = guarded(func() (err error) {
			program, err = compile(text)
			return err
		})
	}
	switch {
	case len(p.kept)+len(p.wrong) >= maxPrograms:
	case err != nil:
		if p.wrong == nil {
			p.wrong = map[string]error{}
		}
		p.wrong[text] = err
	default:
		if p.kept == nil {
			p.kept = map[string]P{}
		}
		p.kept[text] = program
	}
	return program, err
}
