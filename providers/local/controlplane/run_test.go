package controlplane

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/refloat-dev/refloat/providers/local/assets"
)

func TestDelay(t *testing.T) {
	d := delay{backoff: Backoff{First: time.Second, Limit: 5 * time.Second}, clock: clocktesting.NewFakeClock(testTime)}
	var got []time.Duration
	for _, lived := range []time.Duration{0, 0, 0, 0, 0, time.Minute, 0} {
		got = append(got, d.after(lived))
	}
	var want []time.Duration
	for _, seconds := range []float64{1, 2, 4, 5, 5, 1, 2} {
		want = append(want, time.Duration(seconds*float64(time.Second)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyTheAPIServerListensAndOnlyOnLoopback(t *testing.T) {
	s := specs{endpoint: testEndpoint, options: Options{Dir: "/d", Name: "c", Role: Workload}}
	for _, name := range componentsOf(Workload) {
		args := strings.Join(s.of(name).Args, " ")
		switch name {
		case apiServer:
			if !strings.Contains(args, "--bind-address=127.0.0.1 --secure-port=20001") {
				t.Errorf("%s: %s", name, args)
			}
		case controllerManager, scheduler:
			if !strings.Contains(args, "--secure-port=0") {
				t.Errorf("%s listens: %s", name, args)
			}
		case etcd:
			if strings.Contains(args, "http") {
				t.Errorf("%s listens: %s", name, args)
			}
		}
	}
}

func TestOnlyWorkloadPlanesDoNotSync(t *testing.T) {
	for role, want := range map[Role]bool{Management: false, Workload: true} {
		args := specs{options: Options{Role: role}}.etcd()
		if got := slices.Contains(args, "--unsafe-no-fsync"); got != want {
			t.Errorf("%s: %v", role, got)
		}
	}
}

func TestOptionsMustBeComplete(t *testing.T) {
	good := Options{Dir: t.TempDir(), Name: "c", Role: Workload, Binaries: assets.Binaries{Kubernetes: "/k", Kwok: "/w"}}
	if err := good.complete(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"no name":       func(o *Options) { o.Name = "" },
		"no role":       func(o *Options) { o.Role = "" },
		"no kubernetes": func(o *Options) { o.Binaries.Kubernetes = "" },
		"no kwok":       func(o *Options) { o.Binaries.Kwok = "" },
	} {
		o := good
		spoil(&o)
		if err := o.complete(); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestStopAndPurgeOfNothing(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	dir := filepath.Join(t.TempDir(), "none")
	if err := Stop(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if err := Purge(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if _, err := Inspect(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}
