package adopt

import (
	"errors"
	"fmt"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// mostKustomization bounds what is parsed.
const mostKustomization = 1 << 20

// WithResources adds files to the resources of a kustomization, which keeps its comments
// and what else it says.
func WithResources(kustomization []byte, names []string) (out []byte, err error) {
	defer func() { // the parser is not ours
		if p := recover(); p != nil {
			err = errors.New("the kustomization cannot be read")
		}
	}()
	if len(kustomization) > mostKustomization {
		return nil, fmt.Errorf("the kustomization has more than %d bytes", mostKustomization)
	}
	node, err := kyaml.Parse(string(kustomization))
	if err != nil {
		return nil, fmt.Errorf("read the kustomization: %w", err)
	}
	list, err := node.Pipe(kyaml.LookupCreate(kyaml.SequenceNode, "resources"))
	if err != nil {
		return nil, fmt.Errorf("read resources of the kustomization: %w", err)
	}
	have := map[string]bool{}
	for _, n := range list.Content() {
		have[n.Value] = true
	}
	for _, name := range names {
		if have[name] {
			continue
		}
		if err := list.PipeE(kyaml.Append(kyaml.NewStringRNode(name).YNode())); err != nil {
			return nil, fmt.Errorf("add %s to the kustomization: %w", name, err)
		}
	}
	text, err := node.String()
	if err != nil {
		return nil, fmt.Errorf("write the kustomization: %w", err)
	}
	return []byte(text), nil
}
