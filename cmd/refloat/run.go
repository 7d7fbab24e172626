package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// operationCommand is what tells the commands that create a run apart.
type operationCommand struct {
	operation v1alpha1.Operation
	use       string
	short     string
	long      string
	// confirm asks for the cluster's name before the run is created.
	confirm bool
	// keep a cluster that exists.
	keep bool
	// does says in one word what becomes of the cluster; deletes when empty.
	does string
	// order adds to the run what only this command orders; may be nil.
	order func(*v1alpha1.RecoveryRunSpec)
}

var (
	rebuildCommand = operationCommand{
		operation: v1alpha1.OperationRebuild, use: "rebuild", confirm: true,
		short: "Make the cluster of a plan anew and verify it",
		long: `Make the cluster of a plan anew and verify it.

Before anything is destroyed, the commit is fetched and rendered and the seeds are
looked up. Then the present incarnation, if there is one, is deleted, a new one is
made through Cluster API, the state is applied in waves, and the live cluster is
compared with the repository.`,
	}
	teardownCommand = operationCommand{
		operation: v1alpha1.OperationTeardown, use: "teardown", confirm: true,
		short: "Delete the cluster of a plan after proving that it can be rebuilt",
		long: `Delete the cluster of a plan after proving that it can be rebuilt: the commit is
fetched and rendered and the seeds are looked up first. Only the Cluster object is
deleted; the command waits until nothing of the cluster is left.`,
	}
	drillCommand = operationCommand{
		operation: v1alpha1.OperationDrill, use: "drill",
		short: "Rebuild under a throw-away name, measure, verify, and delete it again",
		long: `Rebuild under a throw-away name, measure, verify, and delete it again.

The plan's own cluster is never touched.`,
	}
	wakeCommand = operationCommand{
		operation: v1alpha1.OperationRebuild, use: "wake", keep: true,
		short: "Bring the cluster of a plan back, if it is down",
		long: `Bring the cluster of a plan back, if it is down: it is made anew and verified, as by
'refloat rebuild'. A cluster that exists is left alone, so nothing has to be confirmed.`,
	}
)

type runOptions struct {
	file      string
	reason    string
	confirmed string
	override  bool
	detach    bool
	timeout   time.Duration
	reportDir string
	chaos     chaosFlags
	fault     *chaos // that is injected, if one is
	output    outputFormat
}

func newRunCommand(t terminal, a *access, op operationCommand) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   op.use + " PLAN | -f FILE",
		Short: op.short,
		Long: op.long + `

The command follows the run until it ends. Ctrl-C detaches; the run goes on, and
'refloat watch RUN' attaches again.`,
		Args: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.file != "") || len(args) > 1 {
				return usageError("name either a plan or a file with -f")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return startRun(cmd.Context(), t, a, op, o, name)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "filename", "f", "", "file with a RecoveryPlan to create or update first")
	o.addFlags(flags)
	if op.operation == v1alpha1.OperationDrill {
		o.chaos.addFlags(flags)
	}
	if op.confirm {
		flags.BoolVar(&o.override, "override-holds", false, "go ahead although somebody holds the cluster; needs a --reason")
		flags.StringVar(&o.confirmed, "confirm", "", "name of the cluster, to go ahead without being asked")
	}
	return cmd
}

// addFlags of everything that creates and follows a run.
func (o *runOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.reason, "reason", "", "why, for those who read the report later")
	flags.BoolVar(&o.detach, "detach", false, "create the run and return at once")
	flags.DurationVar(&o.timeout, "timeout", 0, "stop following after this long; the run goes on (exit code 4)")
	flags.StringVar(&o.reportDir, "report-dir", "", "write the report in every form to this directory when the run ends")
	o.output.addFlag(flags)
}

// checkOverride: who goes ahead against others says why.
func (o *runOptions) checkOverride() error {
	if o.override && o.reason == "" {
		return usageError("say why the holds do not count, with --reason: it is in the report")
	}
	return nil
}

func startRun(ctx context.Context, t terminal, a *access, op operationCommand, o *runOptions, planName string) error {
	if err := o.checkOverride(); err != nil {
		return err
	}
	c, namespace, err := a.connect()
	if err != nil {
		return err
	}
	plan, err := findPlan(ctx, c, namespace, planName, o.file)
	if err != nil {
		return err
	}
	if op.confirm {
		if err := confirm(t, op, plan, o.confirmed); err != nil {
			return err
		}
	}
	fault, err := o.chaos.prepare(t, a, c, plan)
	if err != nil {
		return err
	}
	if fault != nil && o.detach {
		return usageError("--chaos has to stay until the drill is over: leave out --detach")
	}
	if o.file != "" {
		if plan, err = writePlan(ctx, c, plan, o.file); err != nil {
			return err
		}
	}
	o.fault = fault
	return orderRun(ctx, t, c, plan, op, o, "")
}

// orderRun creates the run and follows it.
func orderRun(ctx context.Context, t terminal, c client.WithWatch, plan *v1alpha1.RecoveryPlan, op operationCommand, o *runOptions, retryOf string) error {
	// Without a name the run is as good, but what needs approval cannot be approved.
	user, err := whoAmI(ctx, c)
	if err != nil && plan.Spec.Teardown.Policy == v1alpha1.TeardownNeedsApproval {
		return explain(err, "ask who you are, for the approval that the plan wants")
	}
	run := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: plan.Namespace,
			// Known before it is sent, so that a lost answer can be asked about.
			Name: shortened(plan.Name) + "-" + op.use + "-" + utilrand.String(5),
		},
		Spec: v1alpha1.RecoveryRunSpec{
			PlanRef:       v1alpha1.PlanReference{Name: plan.Name},
			Operation:     op.operation,
			Cluster:       plan.Spec.Cluster.Name,
			Reason:        o.reason,
			RequestedBy:   user,
			OverrideHolds: o.override,
			RetryOf:       retryOf,
			KeepExisting:  op.keep,
		},
	}
	if op.order != nil {
		op.order(&run.Spec)
	}
	if err := createRun(ctx, c, run); err != nil {
		return err
	}
	say(t.Err, "%s of plan %s/%s: run %s", op.use, plan.Namespace, plan.Name, run.Name)
	if o.detach {
		if o.output.structured() {
			run.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RecoveryRun"))
			return o.output.write(t.Out, run)
		}
		_, err := fmt.Fprintf(t.Out, "recoveryrun/%s created\n", run.Name)
		return err
	}
	end := o.fault.begin(ctx, client.ObjectKeyFromObject(run))
	err = follow(ctx, t, c, client.ObjectKeyFromObject(run), followOptions{
		timeout: o.timeout, reportDir: o.reportDir, output: o.output,
	})
	if ended := end(); ended != nil {
		return errors.Join(err, ended)
	}
	return err
}

// shortened leaves room in a name for what comes behind it.
func shortened(name string) string {
	const enough = 200
	return strings.TrimRight(name[:min(len(name), enough)], "-.")
}

// createRun sends the order once. When no answer comes it asks whether the order arrived:
// to send it again under another name would carry it out twice.
func createRun(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) error {
	err := c.Create(ctx, run)
	var answer apierrors.APIStatus
	if err == nil || errors.As(err, &answer) || meta.IsNoMatchError(err) {
		return explain(err, "create the run")
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), lostAnswer)
	defer cancel()
	switch asked := c.Get(ask, client.ObjectKeyFromObject(run), run); {
	case asked == nil:
		return nil
	case apierrors.IsNotFound(asked):
		return explain(err, "create the run")
	}
	return &exitError{code: exitStillRunning, err: fmt.Errorf("the management cluster did not answer; run %s may have been created: look with 'refloat watch %s -n %s' before you order another: %w",
		run.Name, run.Name, run.Namespace, err)}
}

// lostAnswer is how long a management cluster is asked about an order that it did not
// acknowledge.
const lostAnswer = 5 * time.Second

// findPlan reads the named plan, or the one in the file. It writes nothing.
func findPlan(ctx context.Context, c client.Client, namespace, name, file string) (*v1alpha1.RecoveryPlan, error) {
	if file == "" {
		plan := &v1alpha1.RecoveryPlan{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, plan); err != nil {
			if apierrors.IsNotFound(err) {
				return nil, usageError("there is no plan %q in namespace %q; 'refloat get plans' lists them", name, namespace)
			}
			return nil, explain(err, "read the plan")
		}
		return plan, nil
	}
	plan, err := readPlanFile(file)
	if err != nil {
		return nil, err
	}
	if plan.Namespace == "" {
		plan.Namespace = namespace
	}
	return plan, nil
}

// writePlan creates or updates the plan of a file.
func writePlan(ctx context.Context, c client.Client, desired *v1alpha1.RecoveryPlan, file string) (*v1alpha1.RecoveryPlan, error) {
	plan := desired.DeepCopy()
	err := c.Create(ctx, plan)
	if apierrors.IsAlreadyExists(err) {
		// The controller writes into the status of plans at any time.
		err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			if err := c.Get(ctx, client.ObjectKeyFromObject(desired), plan); err != nil {
				return err
			}
			plan.Spec = desired.Spec
			return c.Update(ctx, plan)
		})
	}
	if err != nil {
		return nil, explain(err, fmt.Sprintf("write the plan of %s", file))
	}
	return plan, nil
}

// maxPlanFile bounds what is read as a plan; a plan is a page of YAML.
const maxPlanFile = 1 << 20

func readPlanFile(file string) (*v1alpha1.RecoveryPlan, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, usageError("read plan: %w", err)
	}
	if info.IsDir() || info.Size() > maxPlanFile {
		return nil, usageError("read plan: %s is not a file of at most %d bytes", file, maxPlanFile)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError("read plan: %w", err)
	}
	var kind metav1.TypeMeta // first, since the fields of another kind are no mistakes
	if err := yaml.Unmarshal(data, &kind); err != nil {
		return nil, usageError("read plan: %s: %w", file, err)
	}
	if want := v1alpha1.GroupVersion.String(); kind.APIVersion != want || kind.Kind != "RecoveryPlan" {
		return nil, usageError("read plan: %s: want apiVersion %s and kind RecoveryPlan, got %q and %q", file, want, kind.APIVersion, kind.Kind)
	}
	plan := &v1alpha1.RecoveryPlan{}
	if err := yaml.UnmarshalStrict(data, plan); err != nil {
		return nil, usageError("read plan: %s: %w", file, err)
	}
	if plan.Name == "" {
		return nil, usageError("read plan: %s: metadata.name is missing", file)
	}
	return plan, nil
}

// confirm makes sure that a person meant this cluster: the wrong cluster is the most
// expensive mistake there is.
func confirm(t terminal, op operationCommand, plan *v1alpha1.RecoveryPlan, given string) error {
	cluster, does := plan.Spec.Cluster.Name, cmp.Or(op.does, "deletes")
	if given == cluster {
		return nil
	}
	if given != "" {
		return usageError("--confirm says %q but the plan's cluster is %q; nothing was done", given, cluster)
	}
	if !t.interactive() {
		return usageError("%s %s cluster %q: say so with --confirm=%s", op.use, does, cluster, cluster)
	}
	fmt.Fprintf(t.Err, "This %s cluster %s/%s if it exists. Type its name to go ahead: ", does, plan.Namespace, cluster)
	line, err := bufio.NewReader(t.In).ReadString('\n')
	if err != nil {
		return usageError("no answer; nothing was done")
	}
	if answer := strings.TrimSpace(line); answer != cluster {
		return usageError("%q is not %q; nothing was done", answer, cluster)
	}
	return nil
}

// explain turns an error of the management cluster into what to do about it.
func explain(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case meta.IsNoMatchError(err) || apierrors.IsNotFound(err) && strings.Contains(err.Error(), "the server could not find the requested resource"):
		return fmt.Errorf("%s: this cluster does not know Refloat's API; is it the management cluster, and is Refloat installed there?", doing)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return usageError("%s: %w", doing, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: interrupted", doing)
	case utilnet.IsConnectionRefused(err):
		return fmt.Errorf("%s: the management cluster does not answer; is it running? 'refloat sandbox up' starts a sandbox that was stopped (%w)", doing, refusedBy(err))
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// refusedBy is the part of an error that says who refused a connection.
func refusedBy(err error) error {
	if refused, ok := errors.AsType[*net.OpError](err); ok {
		return refused
	}
	return err
}
