package assets

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:generate go run ./recipegen ../../.. recipes.txtar

//go:embed recipes.txtar
var recipes []byte

// recipe is what one program is built from.
type recipe struct {
	name Name
	// files are the module files, by name.
	files map[string][]byte
	// target is the main package.
	target string
	// module and version are what a program that was built from the recipe says of
	// itself.
	module, version string
	// stamps are the variables that carry the version.
	stamps map[string]string
	// edits are made to dependencies for this build alone.
	edits []edit
	// cost tells a user what the first build takes on two cores.
	cost string
}

// all lists the recipes in the order in which they are built; the two that share
// most of what they are compiled from come first.
var all = []recipe{
	{
		name: ClusterAPICore, files: embedded("main"), target: "sigs.k8s.io/cluster-api/core",
		module: "sigs.k8s.io/cluster-api", version: "v1.14.2",
		edits: []edit{loopbackWebhooks},
		cost:  "2 to 4 minutes",
	},
	{
		name: Kwok, files: embedded("main"), target: "sigs.k8s.io/kwok/cmd/kwok",
		module: "sigs.k8s.io/kwok", version: "v0.8.0",
		cost: "1 to 2 minutes",
	},
	{
		name: Kubernetes, files: embedded("kubernetes"), target: ".",
		module: "k8s.io/kubernetes", version: KubernetesVersion,
		stamps: kubernetesStamps(),
		cost:   "5 to 8 minutes",
	},
}

// kubernetesStamps are set by no plain build. Clients refuse a server without them.
func kubernetesStamps() map[string]string {
	parts := strings.SplitN(strings.TrimPrefix(KubernetesVersion, "v"), ".", 3)
	stamps := map[string]string{}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		stamps[pkg+".gitVersion"] = KubernetesVersion
		stamps[pkg+".gitMajor"] = parts[0]
		stamps[pkg+".gitMinor"] = parts[1]
		stamps[pkg+".gitTreeState"] = "clean"
	}
	return stamps
}

// ldflags are in a fixed order, so that they can be part of the key.
func (r recipe) ldflags() string {
	flags := []string{"-s", "-w"}
	for _, name := range sortedKeys(r.stamps) {
		flags = append(flags, "-X", name+"="+r.stamps[name])
	}
	return strings.Join(flags, " ")
}

// embedded returns the files of one folder of recipes.txtar.
func embedded(folder string) map[string][]byte {
	files := map[string][]byte{}
	for _, f := range txtar.Parse(recipes).Files {
		if name, ok := strings.CutPrefix(f.Name, folder+"/"); ok {
			files[name] = f.Data
		}
	}
	return files
}

// key names what the recipe makes with a toolchain. The same key means the same
// program.
func (r recipe) key(toolchain string) string {
	h := sha256.New()
	part := func(data []byte) {
		fmt.Fprintf(h, "%d:", len(data))
		h.Write(data)
	}
	for _, name := range sortedKeys(r.files) {
		part([]byte(name))
		part(bytes.TrimSpace(r.files[name]))
	}
	for _, s := range []string{toolchain, r.target, r.ldflags()} {
		part([]byte(s))
	}
	for _, e := range r.edits {
		for _, s := range []string{e.module, e.file, e.old, e.new} {
			part([]byte(s))
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:20]
}

// unpack writes the recipe's files into dir.
func (r recipe) unpack(dir string) error {
	for name, data := range r.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("unpack the module files of %s: %w", r.name, err)
		}
	}
	return nil
}
