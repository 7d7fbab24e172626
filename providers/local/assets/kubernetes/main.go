// Command kubernetes is etcd and the Kubernetes control plane in one program.
//
// Which of them it is, its name says (argv[0], through a link or an exec), or else
// its first argument: "kubernetes kube-apiserver --help". Only the component that
// is asked for is constructed, because each registers flags, metrics and feature
// gates for the whole process when it is.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubernetesversion "k8s.io/component-base/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const usageCode = 2

// components maps a name to what runs it with an argument vector.
var components = map[string]func(args []string) int{
	"etcd": func(args []string) int {
		etcdmain.Main(args) // Ends the process itself when it fails.
		return 0
	},
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
}

func command(construct func() *cobra.Command) func([]string) int {
	return func(args []string) int {
		// The components look at os.Args by themselves, too.
		os.Args = args
		return cli.Run(construct())
	}
}

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if component, ok := components[strings.TrimSuffix(filepath.Base(args[0]), ".exe")]; ok {
		return component(args)
	}
	if len(args) < 2 {
		usage(stderr)
		return usageCode
	}
	if component, ok := components[args[1]]; ok {
		return component(args[1:])
	}
	switch args[1] {
	case "--version", "version":
		fmt.Fprintf(stdout, "Kubernetes %s\netcd %s\n", kubernetesversion.Get().GitVersion, version.Version)
		return 0
	case "--help", "-h", "help":
		usage(stdout)
		return 0
	}
	fmt.Fprintf(stderr, "unknown component %q\n", args[1])
	usage(stderr)
	return usageCode
}

func usage(w io.Writer) {
	names := make([]string, 0, len(components))
	for name := range components {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(w, "usage: kubernetes COMPONENT [ARGUMENT...]\n       kubernetes --version\ncomponents: %s\n", strings.Join(names, ", "))
}
