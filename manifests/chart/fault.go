package chart

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	helmchart "helm.sh/helm/v4/pkg/chart/v2"
)

// position is a template and a line in the engine's messages.
var position = regexp.MustCompile(`([^\s:()"]+/templates/[^\s:()"]+):(\d+)(?::\d+)?`)

var (
	// marked is how the engine marks what fail and required say.
	marked = regexp.MustCompile(`(?s)HELM_ERR_START(.*?)HELM_ERR_END`)
	// calling is the frame around the message of a function that failed.
	calling = regexp.MustCompile(`(?s)error calling (\w+): `)
)

// failed turns the engine's error into one with a file and a line: the innermost place
// that the engine names, which is where the author has to look.
func (j *job) failed(c *helmchart.Chart, err error) error {
	var already *TemplateError
	if errors.As(err, &already) {
		return err
	}
	text := err.Error()
	const most = 64 << 10 // recursion makes messages without end
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	fault := &TemplateError{Chart: j.Chart.String(), Message: printable(core(text))}
	places := position.FindAllStringSubmatch(text, -1)
	if len(places) == 0 {
		return fault
	}
	// The engine lists the outermost place first.
	last := places[len(places)-1]
	fault.File = j.where(last[1])
	fault.Line, _ = strconv.Atoi(last[2])
	if outer := places[0]; outer[1] != last[1] {
		fault.Message += " (from " + j.where(outer[1]) + ":" + outer[2] + ")"
	}
	if c.Metadata.Deprecated {
		fault.Message += "; the chart is deprecated"
	}
	return fault
}

// core is what went wrong, without the path that led to it.
func core(text string) string {
	if m := marked.FindStringSubmatch(text); m != nil {
		return strings.TrimSpace(m[1])
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	message := strings.TrimSpace(lines[len(lines)-1])
	if places := position.FindAllStringIndex(message, -1); len(places) > 0 {
		rest := strings.TrimLeft(message[places[len(places)-1][1]:], ":) ")
		if rest != "" {
			message = rest
		}
	}
	if m := calling.FindAllStringIndex(message, -1); len(m) > 0 {
		message = message[m[len(m)-1][0]:]
	}
	return message
}
