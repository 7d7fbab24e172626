package health

import (
	"context"
	"errors"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	// maxSteps of the virtual machine in one evaluation; a script that looks through a
	// thousand conditions takes a quarter of it.
	maxSteps = 100_000
	// maxText that a script may make, in bytes, all together.
	maxText = 4 << 20
	// callDepth and registers bound recursion.
	callDepth, registers = 128, 16 << 10
	// maxArray is the largest list that the machine keeps as one piece of memory: a
	// script that sets one high index would fill all below it.
	maxArray = 1024
)

func init() { lua.MaxArrayIndex = maxArray }

var scripts programs[*lua.FunctionProto]

func script(text string) (*lua.FunctionProto, error) {
	return scripts.get(text, func(text string) (*lua.FunctionProto, error) {
		chunk, err := parse.Parse(strings.NewReader(text), "check")
		if err != nil {
			return nil, &invalidCheckError{err.Error()}
		}
		meterConcatenation(chunk)
		program, err := lua.Compile(chunk, "check")
		if err != nil {
			return nil, &invalidCheckError{err.Error()}
		}
		return program, nil
	})
}

// byLua runs a script as Argo CD does: obj is the object, the result a table with status
// and message.
func byLua(u *unstructured.Unstructured, env Environment, c *manifests.HealthCheck) (Assessment, error) {
	program, err := script(c.Lua)
	if err != nil {
		return Assessment{}, err
	}
	status, message, err := runLua(program, u.Object)
	if err != nil {
		return Assessment{}, err
	}
	message = said(u.GroupVersionKind().GroupKind(), message)
	switch status {
	case "Healthy":
		return healthy(""), nil
	case "Suspended":
		return healthy("its health check%s says that it is suspended%s", from(c), message), nil
	case "Degraded":
		return env.settling(u, failed("its health check%s says that it is degraded%s", from(c), message)), nil
	case "Progressing", "Missing", "Unknown":
		return progressing("its health check%s says that it is %s%s", from(c), strings.ToLower(status), message), nil
	case "":
		return progressing("its health check%s gives no status", from(c)), nil
	}
	return progressing("its health check%s gives the status %q, which does not exist", from(c), bounded(status)), nil
}

func runLua(program *lua.FunctionProto, object map[string]any) (status, message string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	m := &meter{Context: ctx, steps: maxSteps, text: maxText}
	l := lua.NewState(lua.Options{SkipOpenLibs: true, CallStackSize: callDepth, RegistrySize: registers})
	defer l.Close()
	m.furnish(l)
	l.SetGlobal("obj", toLua(l, object, 0))
	l.SetContext(m)
	l.Push(l.NewFunctionFromProto(program))
	if err := l.PCall(0, 1, nil); err != nil {
		return "", "", m.explain(err)
	}
	result, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", errors.New("the script returns no table with a status")
	}
	return lua.LVAsString(result.RawGetString("status")), bounded(lua.LVAsString(result.RawGetString("message"))), nil
}

// meter counts what a script does. The machine asks Done before every step.
type meter struct {
	context.Context
	steps, text int
	stopped     error
}

var ended = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done counts a step.
func (m *meter) Done() <-chan struct{} {
	if m.steps--; m.steps < 0 && m.stopped == nil {
		m.stopped = errSteps
	}
	if m.stopped != nil {
		return ended
	}
	return m.Context.Done()
}

// Err says why Done is closed.
func (m *meter) Err() error {
	if m.stopped != nil {
		return m.stopped
	}
	return m.Context.Err()
}

// write counts text that is about to be made.
func (m *meter) write(l *lua.LState, bytes int) {
	if m.text -= bytes; bytes > maxText || m.text < 0 {
		m.text, m.stopped = -1, errText
		l.RaiseError("%s", errText.Error())
	}
}

func (m *meter) explain(err error) error {
	if m.stopped != nil {
		return m.stopped
	}
	if m.Context.Err() != nil {
		return errTime
	}
	var fault *lua.ApiError
	if errors.As(err, &fault) && fault.Object != nil {
		return errors.New(bounded(lua.LVAsString(fault.Object)))
	}
	return errors.New(bounded(err.Error()))
}

func toLua(l *lua.LState, v any, depth int) lua.LValue {
	const deepest = 200
	if depth > deepest {
		return lua.LNil
	}
	switch v := v.(type) {
	case map[string]any:
		t := l.CreateTable(0, len(v))
		for key, value := range v {
			t.RawSetString(key, toLua(l, value, depth+1))
		}
		return t
	case []any:
		t := l.CreateTable(min(len(v), maxArray), 0)
		for i, value := range v {
			t.RawSetInt(i+1, toLua(l, value, depth+1))
		}
		return t
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}
