package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/clusterapi"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/crds"
	"github.com/refloat-dev/refloat/providers/local/filelock"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// Options of Up.
type Options struct {
	// Dir of the sandbox; made with mode 0700.
	Dir string
	// Assets is a directory with prebuilt programs; see assets.Options.
	Assets string
	// Definitions to install beside those of Cluster API and of the local provider.
	Definitions []*apiextensionsv1.CustomResourceDefinition
	// Rules are policies of admission, accounts and their rights, to install after them.
	Rules []*unstructured.Unstructured
	// ControllerUser is who the controller is for the management plane; see
	// ControllerKubeconfig. Without a name there is no kubeconfig for it.
	ControllerUser controlplane.User
	// Controller is the argument vector of the controller, its program first and
	// absolute. It must accept --health-addr and answer /readyz there.
	Controller []string
	// Supervisor is the argument vector of a program that calls Supervise.
	Supervisor []string
	// Audit keeps an audit log of the management plane.
	Audit bool
	// Progress is told of each step when it begins, and of how it ended by the
	// function that it returns. Nil drops both.
	Progress func(step string) (done func(error))
	// Line is given lines for people during a long step. Nil drops them.
	Line  func(string)
	Clock clock.WithTicker
	Log   logr.Logger
}

// Up brings the sandbox up, or repairs it: what runs and is as it should be is left
// alone. It returns when the controller is ready.
func Up(ctx context.Context, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	dir, err := process.Canonical(o.Dir)
	if err != nil {
		return err
	}
	l := layout(dir)
	if err := l.claim(); err != nil {
		return err
	}
	lock, err := filelock.Acquire(ctx, l.lock(), func() { o.line("Waiting for another 'sandbox up' or 'sandbox down' in " + dir) })
	if err != nil {
		return fmt.Errorf("bring the sandbox up: %w", err)
	}
	defer lock.Release()
	u := &upper{options: o, parts: parts{layout: l, clock: o.Clock, log: o.Log}}
	for _, s := range u.steps() {
		if err := o.step(s.name, func() error { return s.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) line(text string) {
	if o.Line != nil {
		o.Line(text)
	}
}

func (o Options) step(name string, do func() error) error {
	done := func(error) {}
	if o.Progress != nil {
		done = o.Progress(name)
	}
	err := do()
	done(err)
	return err
}

// upper is one Up under way.
type upper struct {
	options Options
	parts   parts
	plane   *controlplane.Plane
}

type step struct {
	name string
	do   func(context.Context) error
}

func (u *upper) steps() []step {
	return []step{
		{"Programs", u.programs},
		{"Management plane", u.management},
		{"Definitions", u.definitions},
		{"Cluster API core", u.core},
		{"Refloat controller", u.controller},
		{"Supervisor", u.supervisor},
	}
}

func (u *upper) programs(ctx context.Context) error {
	binaries, err := assets.Get(ctx, assets.Options{Dir: u.options.Assets, Progress: u.options.line, Clock: u.options.Clock})
	if err != nil {
		return err
	}
	// A supervisor that works from older settings would undo what is done here.
	if err := u.parts.layout.stop(ctx, Supervisor); err != nil {
		return err
	}
	u.parts.settings = settings{Binaries: binaries, Controller: u.options.Controller, Audit: u.options.Audit}
	return u.parts.layout.writeSettings(u.parts.settings)
}

func (u *upper) management(ctx context.Context) (err error) {
	if u.plane, err = controlplane.Start(ctx, u.parts.management()); err != nil {
		return fmt.Errorf("start the management plane: %w", err)
	}
	now, l := u.options.Clock.Now(), u.parts.layout
	if err := keepKubeconfig(l.kubeconfig(), u.plane, controlplane.Admin, now); err != nil {
		return err
	}
	if u.options.ControllerUser.Name == "" {
		return nil
	}
	return keepKubeconfig(l.controllerKubeconfig(), u.plane, u.options.ControllerUser, now)
}

func (u *upper) definitions(ctx context.Context) error {
	core, err := clusterapi.Definitions()
	if err != nil {
		return err
	}
	local, err := crds.All()
	if err != nil {
		return err
	}
	all := append(append(core, local...), u.options.Definitions...)
	if err := clusterapi.Install(ctx, u.plane.AdminConfig(), all); err != nil {
		return err
	}
	return clusterapi.InstallRules(ctx, u.plane.AdminConfig(), u.options.Rules)
}

func (u *upper) core(ctx context.Context) error {
	webhook, err := u.parts.webhook(ctx)
	if err != nil {
		return err
	}
	core, err := u.parts.core(ctx)
	if err != nil {
		return err
	}
	if err := u.parts.start(ctx, core); err != nil {
		return err
	}
	return clusterapi.RegisterWebhooks(ctx, u.plane.AdminConfig(), webhook)
}

func (u *upper) controller(ctx context.Context) error {
	controller, err := u.parts.controller(ctx)
	if err != nil {
		return err
	}
	return u.parts.start(ctx, controller)
}

func (u *upper) supervisor(ctx context.Context) error {
	argv := u.options.Supervisor
	_, _, err := process.Start(ctx, u.parts.layout.dir(), process.Spec{
		Name: Supervisor, Path: argv[0], Args: argv, Env: environment(), Inputs: digestOf(u.parts.layout.settings()),
	}, u.options.Clock.Now())
	return err
}

// stop ends one process of the sandbox, if it runs.
func (l layout) stop(ctx context.Context, name string) error {
	r, err := process.Find(l.dir(), name)
	if errors.Is(err, process.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.Stop(ctx, stopGrace)
}

// digestOf a file; empty when it cannot be read.
func digestOf(path string) string {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
