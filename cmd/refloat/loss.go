package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/controller"
)

// longestAcceptance of losses: a list that nobody looks at again is worth nothing.
const longestAcceptance = 90 * 24 * time.Hour

type lossOptions struct {
	accept bool
	reason string
	valid  time.Duration
	output outputFormat
}

func newLossCommand(t terminal, a *access) *cobra.Command {
	o := &lossOptions{}
	cmd := &cobra.Command{
		Use:   "loss PLAN",
		Short: "List what would be lost if a plan's cluster were deleted now",
		Long: `Compare the live cluster of a plan with what the plan refers to now, and list what
would not come back: objects that nobody but a person or a tool made, fields that were
changed by hand, and the data of volumes, each with who wrote it last. It is what the
Preflight of every teardown and rebuild does.

With --accept, the list is kept: a plan whose spec.teardown.loss.policy is RefuseIfNew
refuses only what came after. 'refloat adopt' writes lost objects down for the repository.

Exit codes: 0 nothing would be lost, since there is no cluster or all of it is waived or
accepted; 1 something
would; 2 it could not be told.`,
		Args: oneArg("the name of a plan ('refloat get plans' lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			err := o.run(cmd.Context(), t, a, args[0])
			if exit := (*exitError)(nil); err != nil && !errors.As(err, &exit) {
				return &exitError{code: exitCouldNotTell, err: fmt.Errorf("could not tell: %w", err)}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.accept, "accept", false, "keep the list as accepted, for plans with policy RefuseIfNew")
	flags.StringVar(&o.reason, "reason", "", "why the losses are accepted")
	flags.DurationVar(&o.valid, "for", 7*24*time.Hour, "how long the accepted list counts; at most 2160h")
	o.output.addFlag(flags)
	return cmd
}

func (o *lossOptions) check() error {
	switch {
	case o.accept && o.reason == "":
		return usageError("say why the losses are accepted, with --reason: it is shown to those who look later")
	case !o.accept && o.reason != "":
		return usageError("--reason needs --accept")
	case o.valid <= 0 || o.valid > longestAcceptance:
		return usageError("--for must be longer than 0s and at most %s", longestAcceptance)
	}
	return nil
}

func (o *lossOptions) run(ctx context.Context, t terminal, a *access, plan string) error {
	c, namespace, err := a.connect()
	if err != nil {
		return err
	}
	return o.show(ctx, t, c, namespace, plan)
}

func (o *lossOptions) show(ctx context.Context, t terminal, c client.Client, namespace, plan string) error {
	p, err := previewPlan(ctx, c, namespace, plan)
	if errors.Is(err, controller.ErrNothingToLose) && !o.accept {
		if o.output.structured() {
			return o.output.write(t.Out, lossOutput{Plan: plan, Clean: true})
		}
		_, err := fmt.Fprintln(t.Out, err)
		return err
	}
	if err != nil {
		return err
	}
	for _, warning := range p.Rendered.Warnings {
		say(t.Err, "warning: %s", warning)
	}
	if o.output.structured() {
		err = o.output.write(t.Out, lossOutput{Plan: plan, Cluster: p.Plan.Spec.Cluster.Name, Commit: p.Rendered.Commit, Clean: p.Clean(), Preview: p.Preview})
	} else {
		err = printLoss(t, p)
	}
	if err != nil {
		return &exitError{code: exitCouldNotTell, err: fmt.Errorf("print the outcome: %w", err)}
	}
	if o.accept {
		return o.keep(ctx, t, c, p)
	}
	if !p.Clean() {
		return &exitError{code: exitDiffers}
	}
	return nil
}

// lossOutput is the structured form.
type lossOutput struct {
	Plan    string `json:"plan"`
	Cluster string `json:"cluster"`
	Commit  string `json:"commit"`
	Clean   bool   `json:"clean"`
	*loss.Preview
}

func previewPlan(ctx context.Context, c client.Client, namespace, plan string) (*controller.PlanLoss, error) {
	cache, err := userCache()
	if err != nil {
		return nil, err
	}
	return controller.PreviewPlan(ctx, c, controller.LossOptions{
		Engine:    controller.NewEngine(controller.EngineOptions{CacheDir: cache, Version: buildVersion()}),
		Namespace: namespace, Plan: plan,
	})
}

func printLoss(t terminal, p *controller.PlanLoss) error {
	var b bytes.Buffer
	cluster := p.Plan.Spec.Cluster.Name
	if p.Clean() {
		fmt.Fprintf(&b, "nothing would be lost with Cluster %s: %d live objects looked at, at commit %.12s\n", cluster, p.Live, p.Rendered.Commit)
	} else {
		fmt.Fprintf(&b, "%s would be lost with Cluster %s: %d live objects looked at, at commit %.12s\n", recovery.Losses(p.Preview), cluster, p.Live, p.Rendered.Commit)
	}
	p.WriteText(&b)
	_, err := t.Out.Write(b.Bytes())
	return err
}

// keep the list as accepted.
func (o *lossOptions) keep(ctx context.Context, t terminal, c client.Client, p *controller.PlanLoss) error {
	if p.LeftOut > 0 {
		return &exitError{code: exitFailed, err: fmt.Errorf("%d losses are not in the list, so it cannot be accepted; adopt or waive some first", p.LeftOut)}
	}
	who, err := whoAmI(ctx, c)
	if err != nil {
		return explain(err, "ask who you are")
	}
	until := time.Now().Add(o.valid)
	name, err := controller.AcceptLoss(ctx, c, p.Plan, loss.Accept(p.Preview, who, o.reason, until))
	if err != nil {
		return &exitError{code: exitFailed, err: err}
	}
	say(t.Err, "%s accepted the loss of %d items until %s (ConfigMap %s)", who, len(p.Lost), until.UTC().Format(time.RFC3339), name)
	if p.Plan.Spec.Teardown.Loss.Policy != v1alpha1.LossRefuseIfNew {
		say(t.Err, "note: the list does not count yet: spec.teardown.loss.policy of plan %s is not RefuseIfNew", p.Plan.Name)
	}
	return nil
}
