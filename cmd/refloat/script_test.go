package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the real command in a directory of their own, without a cluster.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("KUBECONFIG", env.WorkDir+"/no-such-kubeconfig")
			if err := writeReports(env.WorkDir); err != nil {
				return err
			}
			// A file that is larger than anything that is read, and takes no room.
			huge := filepath.Join(env.WorkDir, "huge")
			if err := os.WriteFile(huge, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(huge, 100<<20)
		},
	})
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"refloat": main})
}
