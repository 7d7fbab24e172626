package sops

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	sops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/stores"
	"github.com/getsops/sops/v3/stores/dotenv"
	"github.com/getsops/sops/v3/stores/ini"
	jsonstore "github.com/getsops/sops/v3/stores/json"
	yamlstore "github.com/getsops/sops/v3/stores/yaml"
	"go.yaml.in/yaml/v3"
)

// format of an encrypted file.
type format int

const (
	binaryFormat format = iota
	dotenvFormat
	iniFormat
	jsonFormat
	yamlFormat
)

func (f format) store() sops.Store {
	switch f {
	case dotenvFormat:
		return dotenv.NewStore(&config.DotenvStoreConfig{})
	case iniFormat:
		return ini.NewStore(&config.INIStoreConfig{})
	case jsonFormat:
		return jsonstore.NewStore(&config.JSONStoreConfig{Indent: 2})
	case yamlFormat:
		return yamlstore.NewStore(&config.YAMLStoreConfig{})
	}
	return jsonstore.NewBinaryStore(&config.JSONBinaryStoreConfig{})
}

var (
	yamlMarker   = regexp.MustCompile(`(?m)^sops:\s*$`)
	yamlCode     = regexp.MustCompile(`(?m)^\s+mac: \S`)
	dotenvMarker = regexp.MustCompile(`(?m)^sops_mac=`)
	iniMarker    = regexp.MustCompile(`(?m)^\[sops\]\s*$`)
)

// formatOf finds what a file is from its content, because names tell little: a Secret
// generator takes any name. Only between JSON and bytes wrapped in JSON the name decides.
func formatOf(name string, content []byte) (format, bool) {
	if text := bytes.TrimLeft(content, " \t\r\n"); len(text) > 0 && text[0] == '{' {
		var outline map[string]json.RawMessage
		var metadata struct {
			MAC any `json:"mac"`
		}
		if json.Unmarshal(text, &outline) != nil || json.Unmarshal(outline[stores.SopsMetadataKey], &metadata) != nil || metadata.MAC == nil {
			return 0, false
		}
		if path.Ext(name) != ".json" && len(outline) == 2 && bytes.HasPrefix(outline["data"], []byte(`"`)) {
			return binaryFormat, true
		}
		return jsonFormat, true
	}
	switch {
	case dotenvMarker.Match(content):
		return dotenvFormat, true
	case iniMarker.Match(content):
		return iniFormat, true
	case yamlMarker.Match(content) && yamlCode.Match(content):
		return yamlFormat, true
	}
	return 0, false
}

// File opens a file as SOPS wrote it and checks its message authentication code. It
// returns the content unchanged, and false, when the file is no SOPS document.
func (k *Keys) File(name string, content []byte) ([]byte, bool, error) {
	if !marked(content) {
		return content, false, nil
	}
	if len(content) > maxBytes {
		return nil, false, tooLarge("larger than %d bytes", maxBytes)
	}
	f, ok := formatOf(name, content)
	if !ok {
		return content, false, nil
	}
	if k == nil {
		k = &Keys{}
	}
	var plain []byte
	err := guarded(func() (err error) {
		plain, err = k.decrypt(f, name, content)
		return err
	})
	return plain, err == nil, err
}

func (k *Keys) decrypt(f format, name string, content []byte) ([]byte, error) {
	if err := f.shallow(content); err != nil {
		return nil, err
	}
	tree, err := f.store().LoadEncryptedFile(content)
	if err != nil {
		return nil, damaged("it cannot be read")
	}
	if err := k.open(&tree, true); err != nil {
		return nil, err
	}
	// The credentials of registries are JSON, in whichever form they are kept.
	if f == yamlFormat && path.Base(name) == ".dockerconfigjson" {
		f = jsonFormat
	}
	plain, err := f.store().EmitPlainFile(tree.Branches)
	if err != nil {
		return nil, damaged("its content cannot be written in its own form")
	}
	return plain, nil
}

// shallow refuses what would grow or recurse while it is loaded.
func (f format) shallow(content []byte) error {
	switch f {
	case yamlFormat:
		return shallowYAML(content)
	case jsonFormat, binaryFormat:
		return shallowJSON(content)
	}
	return nil
}

// shallowYAML parses the structure, which does not expand aliases. SOPS writes none.
func shallowYAML(content []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(content))
	values := 0
	for {
		var doc yaml.Node
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return damaged("it is not valid YAML")
		}
		if err := shallowNode(&doc, 0, &values); err != nil {
			return err
		}
	}
}

func shallowNode(n *yaml.Node, depth int, values *int) error {
	*values++
	switch {
	case n.Kind == yaml.AliasNode:
		return damaged("it holds a YAML alias, which SOPS does not write")
	case depth > maxDepth:
		return tooLarge("nested deeper than %d levels", maxDepth)
	case *values > 4*maxValues:
		return tooLarge("holds too many values")
	}
	for _, child := range n.Content {
		if err := shallowNode(child, depth+1, values); err != nil {
			return err
		}
	}
	return nil
}

func shallowJSON(content []byte) error {
	d := json.NewDecoder(strings.NewReader(string(content)))
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return damaged("it is not valid JSON")
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return tooLarge("nested deeper than %d levels", maxDepth)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}
