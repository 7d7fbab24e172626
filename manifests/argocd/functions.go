package argocd

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

// missing are functions of sprig that Argo CD does not give to templates, because they
// look outside.
var missing = []string{"env", "expandenv", "getHostByName"}

// random functions give something else each time, so that no two renderings would be
// the same; with them go those that are made to be slow.
var random = []string{
	"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4",
	"now", "ago", "genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey",
	"genSignedCert", "genSignedCertWithKey", "derivePassword", "bcrypt", "htpasswd", "encryptAES", "decryptAES",
}

// functions that templates may call: those that Argo CD gives them, each bounded.
func (t *templater) functions() template.FuncMap {
	all := sprig.GenericFuncMap()
	for _, name := range missing {
		delete(all, name)
	}
	for _, name := range random {
		all[name] = func(...any) (string, error) {
			return "", fmt.Errorf("%s gives something else each time and is not supported: write the value down", name)
		}
	}
	all["normalize"] = normalized
	all["slugify"] = slugified
	all["toYaml"] = toYAML
	all["fromYaml"] = fromYAML[map[string]any]
	all["fromYamlArray"] = fromYAML[[]any]
	all["tpl"] = t.tpl
	// These are built into templates; they are named here to be bounded like the rest.
	all["print"], all["printf"], all["println"] = fmt.Sprint, fmt.Sprintf, fmt.Sprintln
	all["html"], all["js"], all["urlquery"] = template.HTMLEscaper, template.JSEscaper, template.URLQueryEscaper
	bounded := template.FuncMap{tick: func() (string, error) { return "", t.step(1) }}
	for name, f := range all {
		bounded[name] = t.bounded(name, f)
	}
	return bounded
}

var errorType = reflect.TypeFor[error]()

// bounded wraps a function: it checks the arguments before the call and the result
// after it.
func (t *templater) bounded(name string, f any) any {
	v := reflect.ValueOf(f)
	typ := v.Type()
	in := make([]reflect.Type, typ.NumIn())
	for i := range in {
		in[i] = typ.In(i)
	}
	wrapped := reflect.FuncOf(in, []reflect.Type{typ.Out(0), errorType}, typ.IsVariadic())
	return reflect.MakeFunc(wrapped, func(args []reflect.Value) []reflect.Value {
		fail := func(err error) []reflect.Value {
			return []reflect.Value{reflect.Zero(typ.Out(0)), reflect.ValueOf(&err).Elem()}
		}
		if err := t.admit(name, arguments(args, typ.IsVariadic())); err != nil {
			return fail(err)
		}
		var out []reflect.Value
		if typ.IsVariadic() {
			out = v.CallSlice(args)
		} else {
			out = v.Call(args)
		}
		if _, err := sizeOf(out[0].Interface(), t.limits.TemplateBytes); err != nil {
			return fail(err)
		}
		if len(out) == 1 {
			out = append(out, reflect.Zero(errorType))
		}
		return out
	}).Interface()
}

// arguments are those of a call, one by one.
func arguments(args []reflect.Value, variadic bool) []any {
	var all []any
	for i, a := range args {
		if variadic && i == len(args)-1 {
			for k := range a.Len() {
				all = append(all, a.Index(k).Interface())
			}
			continue
		}
		all = append(all, a.Interface())
	}
	return all
}

// admit counts the call and refuses one whose result could not be held.
func (t *templater) admit(name string, args []any) error {
	total := 0
	for _, a := range args {
		n, err := sizeOf(a, 4*t.limits.TemplateBytes-total)
		if err != nil {
			return err
		}
		total += n
	}
	if err := t.step(1 + total/1024); err != nil {
		return err
	}
	estimate := costs[name]
	if estimate == nil {
		return nil
	}
	if n := estimate(args); n < 0 || n > t.limits.TemplateBytes {
		return fmt.Errorf("%s would make too much: give it less", name)
	}
	return nil
}

// sizeOf counts what a value would take as text, up to a limit. A value within itself
// never ends, so depth is limited too.
func sizeOf(value any, most int) (int, error) {
	left := most
	if err := measure(reflect.ValueOf(value), &left, 0); err != nil {
		return 0, err
	}
	return most - left, nil
}

func measure(v reflect.Value, left *int, depth int) error {
	const perValue, deepest = 8, 60
	if *left -= perValue; *left < 0 || depth > deepest {
		return errors.New("a value in a template becomes too large")
	}
	switch v.Kind() {
	case reflect.String:
		if *left -= v.Len(); *left < 0 {
			return errors.New("a text in a template becomes too large")
		}
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			return measure(v.Elem(), left, depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := measure(v.Index(i), left, depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			if err := measure(entries.Key(), left, depth+1); err != nil {
				return err
			}
			if err := measure(entries.Value(), left, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// tpl executes a text as a template.
func (t *templater) tpl(text string, values any) (string, error) {
	if t.nested >= mostTpl {
		return "", errors.New("tpl calls itself too deeply")
	}
	t.nested++
	defer func() { t.nested-- }()
	parsed, err := t.parsed(text)
	if err != nil {
		return "", err
	}
	out := &boundedText{most: t.limits.TemplateBytes, total: &t.written, mostTotal: t.limits.OutputBytes}
	if err := parsed.Execute(out, values); err != nil {
		return "", err
	}
	return strings.ReplaceAll(out.String(), "<no value>", ""), nil
}

func toYAML(v any) (string, error) {
	text, err := yaml.Marshal(v)
	return strings.TrimSuffix(string(text), "\n"), err
}

func fromYAML[T any](text string) (T, error) {
	var v T
	return v, yaml.Unmarshal([]byte(text), &v)
}

var notInNames = regexp.MustCompile(`[^-a-z0-9.]`)

// normalized makes a text usable as a name of an object.
func normalized(name string) string {
	name = notInNames.ReplaceAllString(strings.ToLower(name), "-")
	return strings.Trim(name[:min(len(name), 253)], "-.")
}

var notInSlugs = regexp.MustCompile(`[^a-z0-9]+`)

// slugified makes a short name: its arguments are the greatest length, whether to cut
// between words only, and the text.
func slugified(args ...any) (string, error) {
	const usual = 50
	most, words, text := usual, false, ""
	for _, a := range args {
		switch v := a.(type) {
		case int:
			most = v
		case bool:
			words = v
		case string:
			text = v
		default:
			return "", errors.New("slugify takes a length, a truth value and a text")
		}
	}
	slug := strings.Trim(notInSlugs.ReplaceAllString(strings.ToLower(text), "-"), "-")
	if most <= 0 || len(slug) <= most {
		return slug, nil
	}
	short := slug[:most]
	if i := strings.LastIndexByte(short, '-'); words && slug[most] != '-' && i > 0 {
		short = short[:i]
	}
	return strings.Trim(short, "-"), nil
}
