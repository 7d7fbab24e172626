package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/controller"
)

var errRefused = errors.New("connection refused")

// management has objects, and answers as the functions say.
func management(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := controller.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(funcs).Build()
}

func named(run *v1alpha1.RecoveryRun) *v1alpha1.RecoveryRun {
	run.Namespace, run.Name = "fleet", "dev-1"
	return run
}

// TestFollowingOutlastsTheServer has requests fail in turn after the run was seen once.
func TestFollowingOutlastsTheServer(t *testing.T) {
	for name, test := range map[string]struct {
		// getErr and watchErr of each attempt; beyond them the run has finished.
		getErr, watchErr []error
		end              string
		told             string
	}{
		"the watch fails first":     {getErr: []error{nil, nil}, watchErr: []error{errRefused}, told: "connection refused; trying again"},
		"the server is away":        {getErr: []error{nil, errRefused, errRefused}, watchErr: []error{errRefused}, told: "connection refused; trying again"},
		"a request times out":       {getErr: []error{nil, context.DeadlineExceeded}, watchErr: []error{errRefused}, told: "trying again"},
		"it was never seen":         {getErr: []error{errRefused}, end: "connection refused"},
		"it may not be read longer": {getErr: []error{nil, apierrors.NewUnauthorized("token expired")}, watchErr: []error{errRefused}, end: "token expired"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gets, watches := 0, 0
				c := management(t, interceptor.Funcs{
					Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
						run, _ := o.(*v1alpha1.RecoveryRun)
						step := 1
						if gets++; gets > len(test.getErr) {
							step = 3
						} else if err := test.getErr[gets-1]; err != nil {
							return err
						}
						named(drillAt(step)).DeepCopyInto(run)
						return nil
					},
					Watch: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
						if watches++; watches <= len(test.watchErr) {
							return nil, test.watchErr[watches-1]
						}
						w := watch.NewFake()
						w.Stop() // the server ends it at once
						return w, nil
					},
				})
				var out bytes.Buffer
				run, err := watchRun(t.Context(), c, client.ObjectKey{Namespace: "fleet", Name: "dev-1"}, newRunView(&out, false))
				if test.end != "" {
					if err == nil || !strings.Contains(err.Error(), test.end) {
						t.Errorf("error %v, want %q", err, test.end)
					}
					return
				}
				if err != nil || run == nil || run.Status.FinishedAt == nil {
					t.Errorf("run %v, error %v", run, err)
				}
				if !strings.Contains(out.String(), test.told) {
					t.Errorf("it says nothing of %q:\n%s", test.told, out.String())
				}
			})
		})
	}
}

// TestInterruptedFollowingSaysNothingOfTrouble is Ctrl-C while a request is under way.
func TestInterruptedFollowingSaysNothingOfTrouble(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := management(t, interceptor.Funcs{
		Watch: func(ctx context.Context, _ client.WithWatch, _ client.ObjectList, _ ...client.ListOption) (watch.Interface, error) {
			cancel()
			return nil, ctx.Err()
		},
	}, named(drillAt(1)))
	var out bytes.Buffer
	_, err := watchRun(ctx, c, client.ObjectKey{Namespace: "fleet", Name: "dev-1"}, newRunView(&out, false))
	if !errors.Is(err, context.Canceled) || strings.Contains(out.String(), "trying again") {
		t.Errorf("error %v, it says:\n%s", err, out.String())
	}
}

// TestDetachedSaysWhatGoesOn: nobody is told to attach again to what a script deletes next.
func TestDetachedSaysWhatGoesOn(t *testing.T) {
	for set, want := range map[string]string{
		"":                       "detached; the run goes on. Attach again with: refloat watch dev-1 -n fleet\n",
		"the sandbox is deleted": "detached; the sandbox is deleted\n",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var said bytes.Buffer
		term := terminal{Out: &bytes.Buffer{}, Err: &said, Getenv: func(name string) string { return map[string]string{envDetached: set}[name] }}
		err := follow(ctx, term, management(t, interceptor.Funcs{}, named(drillAt(1))), client.ObjectKey{Namespace: "fleet", Name: "dev-1"}, followOptions{})
		if exitCode(err) != exitStillRunning || !strings.HasSuffix(said.String(), want) {
			t.Errorf("%v: %q, want %q", err, said.String(), want)
		}
	}
}

// TestALostAnswerMakesNoSecondRun has the answer to an order get lost.
func TestALostAnswerMakesNoSecondRun(t *testing.T) {
	for name, test := range map[string]struct {
		arrives bool
		getErr  error
		code    int
	}{
		"it arrived":         {arrives: true, code: exitDone},
		"it did not":         {code: exitFailed},
		"nobody can tell":    {getErr: errRefused, code: exitStillRunning},
		"interrupted, there": {arrives: true, code: exitDone},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		creates := 0
		c := management(t, interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				creates++
				if test.arrives {
					if err := c.Create(ctx, o, opts...); err != nil {
						return err
					}
				}
				if name == "interrupted, there" {
					cancel()
					return ctx.Err()
				}
				return errRefused
			},
			Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if test.getErr != nil {
					return test.getErr
				}
				return errors.Join(ctx.Err(), c.Get(ctx, k, o, opts...))
			},
		})
		run := named(&v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{}})
		if got := exitCode(createRun(ctx, c, run)); got != test.code || creates != 1 {
			t.Errorf("%s: exit code %d, want %d; ordered %d times", name, got, test.code, creates)
		}
		cancel()
	}
}
