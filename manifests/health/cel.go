package health

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	// maxCost of one evaluation, in the units of cel-go; that of a usual expression is
	// below 100.
	maxCost = 1_000_000
	// interruptEvery so many iterations of a comprehension the time is looked at.
	interruptEvery = 100
)

// celEnv has the functions that Flux offers. The fields of an object are variables that
// are looked up when an expression is evaluated, so it is parsed and not type-checked.
var celEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.HomogeneousAggregateLiterals(),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(), ext.Sets(), ext.Encoders(),
	)
})

// unbounded functions can make more text in one step than the cost, which is counted
// after each step, could hold back.
var unbounded = regexp.MustCompile(`\.\s*(replace|join|format)\s*\(`)

var expressions programs[cel.Program]

func expression(text string) (cel.Program, error) {
	return expressions.get(text, func(text string) (cel.Program, error) {
		if f := unbounded.FindStringSubmatch(text); f != nil {
			return nil, &invalidCheckError{"the function " + f[1] + " is not supported in a health check"}
		}
		env, err := celEnv()
		if err != nil {
			return nil, err
		}
		parsed, issues := env.Parse(text)
		if issues.Err() != nil {
			return nil, &invalidCheckError{strings.TrimPrefix(issues.Err().Error(), "ERROR: ")}
		}
		program, err := env.Program(parsed, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interruptEvery), cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			return nil, &invalidCheckError{err.Error()}
		}
		return program, nil
	})
}

// byCEL asks in the sequence of Flux: whether it is in progress, whether it failed,
// whether it is current; what is none of these is still on its way.
func byCEL(u *unstructured.Unstructured, env Environment, c *manifests.HealthCheck) (Assessment, error) {
	gk := u.GroupVersionKind().GroupKind()
	why := said(gk, conditionOf(u, "Ready").why())
	for _, question := range []struct {
		text string
		yes  func() Assessment
	}{
		{c.InProgress, func() Assessment {
			return progressing("its health check%s says that it is in progress%s", from(c), why)
		}},
		{c.Failed, func() Assessment {
			return env.settling(u, failed("its health check%s says that it failed%s", from(c), why))
		}},
		{c.Current, func() Assessment { return healthy("") }},
	} {
		if question.text == "" {
			continue
		}
		yes, err := evaluate(question.text, u.Object)
		if err != nil {
			return Assessment{}, err
		}
		if yes {
			return question.yes(), nil
		}
	}
	return progressing("its health check%s does not say yet that it is current%s", from(c), why), nil
}

func evaluate(text string, object map[string]any) (bool, error) {
	program, err := expression(text)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	out, _, err := program.ContextEval(ctx, object)
	switch {
	case err != nil && ctx.Err() != nil:
		return false, errTime
	case err != nil && strings.Contains(err.Error(), "cost limit"):
		return false, errSteps
	case err != nil:
		return false, err
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, errors.New("the expression is not a condition: it gives no true or false")
	}
	return yes, nil
}
