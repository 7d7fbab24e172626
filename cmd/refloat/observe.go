package main

import (
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery/failover"
	"github.com/refloat-dev/refloat/recovery/failover/observer"
)

func newObserveCommand(t terminal, a *access) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "observe POLICY --as NAME",
		Short: "Look at the cluster of a failover policy from here, until interrupted",
		Long: `Look at the cluster of a failover policy from here, until interrupted, and tell the
policy what is seen. The policy lists the observer by its name (spec.observers). While
an observer sees the cluster alive, nothing is ordered for it.

Run it somewhere that shares no network and no power with the controller.`,
		Args: oneArg("a failover policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name == "" {
				return usageError("say who observes: --as NAME, as in spec.observers of the policy")
			}
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			wall := clock.RealClock{}
			o := &observer.Observer{
				Client: c, Clusters: &capi.Clusters{Client: c, Reader: c, Clock: wall},
				Policy: client.ObjectKey{Namespace: namespace, Name: args[0]}, Name: name, Clock: wall,
				Tell: func(s failover.Sighting) {
					line := s.Since.UTC().Format(time.RFC3339) + " " + string(s.State)
					if s.Message != "" {
						line += ": " + s.Message
					}
					say(t.Err, "%s", line)
				},
			}
			return explain(o.Run(cmd.Context()), "observe")
		},
	}
	cmd.Flags().StringVar(&name, "as", "", "name of the observer")
	return cmd
}
