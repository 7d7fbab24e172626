package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases.
var version = ""

// buildVersion is the release, else the module version or the commit.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "commit " + s.Value
		}
	}
	return info.Main.Version
}

type versionInfo struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand(t terminal) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgsOr("an argument"),
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo{Version: buildVersion(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if output.structured() {
				return output.write(t.Out, v)
			}
			_, err := fmt.Fprintf(t.Out, "refloat %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			return err
		},
	}
	output.addFlag(cmd.Flags())
	return cmd
}
