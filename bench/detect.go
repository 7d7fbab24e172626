package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// benchDetect measures the time from the death of a control plane, which is kept dead, to
// the run that a policy proposes: with what a policy has by default, and with for: 3s.
func benchDetect(ctx context.Context, out io.Writer, s settings) (err error) {
	box, err := startSandbox(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.stop(context.WithoutCancel(ctx))) }()
	c, err := box.client()
	if err != nil {
		return err
	}
	for _, way := range []struct {
		line string
		last *metav1.Duration
	}{{"failover.detect_seconds", nil}, {"failover.detect_short_seconds", &metav1.Duration{Duration: 3 * time.Second}}} {
		var took []float64
		for round := range s.rounds {
			name := fmt.Sprintf("detect-%d", round)
			if way.last != nil {
				name += "-short"
			}
			seconds, err := box.detect(ctx, c, name, way.last)
			if err != nil {
				return err
			}
			took = append(took, seconds)
		}
		figure(out, way.line, median(took), "s")
	}
	return nil
}

func (s *sandbox) client() (client.WithWatch, error) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.dir(), "kubeconfig"))
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// detect makes a cluster, watches it, kills it and waits for the proposal.
func (s *sandbox) detect(ctx context.Context, c client.WithWatch, name string, last *metav1.Duration) (float64, error) {
	plan, err := s.plan(ctx, name, overheadObjects()[:1])
	if err != nil {
		return 0, err
	}
	if _, err := s.run(ctx, "rebuild", "-f", plan, "--confirm", name); err != nil {
		return 0, err
	}
	policy := &v1alpha1.FailoverPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	policy.Spec.PlanRef.Name, policy.Spec.Unhealthy.For = name, last
	if err := c.Create(ctx, policy); err != nil {
		return 0, err
	}
	if err := awaitPolicy(ctx, c, name, func(p *v1alpha1.FailoverPolicy) bool {
		return meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionClusterHealthy)
	}); err != nil {
		return 0, err
	}
	killing, stop := context.WithCancel(ctx)
	dead := make(chan struct{})
	died := time.Now()
	go func() {
		defer close(dead)
		s.keepDead(killing, name)
	}()
	err = awaitPolicy(ctx, c, name, func(p *v1alpha1.FailoverPolicy) bool { return p.Status.Outage != nil && p.Status.Outage.Run != "" })
	took := time.Since(died).Seconds()
	stop()
	<-dead
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(os.Stderr, "%s: proposed %.2f s after the death\n", name, took)
	// The policy goes first: its proposal would otherwise be in the way.
	if err := c.Delete(ctx, policy); err != nil {
		return 0, err
	}
	_, err = s.run(ctx, "cancel", policyRun(ctx, c, name), "-n", "default", "--reason", "it was measured")
	return took, err
}

// policyRun is the run that was proposed for a plan.
func policyRun(ctx context.Context, c client.Client, plan string) string {
	runs := &v1alpha1.RecoveryRunList{}
	if err := c.List(ctx, runs, client.InNamespace("default")); err != nil {
		return ""
	}
	for i := range runs.Items {
		if r := &runs.Items[i]; r.Spec.PlanRef.Name == plan && r.Spec.Proposal != nil {
			return r.Name
		}
	}
	return ""
}

// awaitPolicy until a policy is as it is wanted.
func awaitPolicy(ctx context.Context, c client.WithWatch, name string, holds func(*v1alpha1.FailoverPolicy) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	events, err := c.Watch(ctx, &v1alpha1.FailoverPolicyList{}, client.InNamespace("default"), client.MatchingFields{"metadata.name": name})
	if err != nil {
		return err
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		if p, ok := e.Object.(*v1alpha1.FailoverPolicy); ok && holds(p) {
			return nil
		}
	}
	return fmt.Errorf("policy %s was waited for in vain", name)
}

// keepDead ends the processes of a control plane, and again those that its supervisor starts.
func (s *sandbox) keepDead(ctx context.Context, cluster string) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		records, _ := filepath.Glob(filepath.Join(s.dir(), "clusters", cluster+"-*", "plane", "run", "*.json"))
		for _, file := range records {
			var record struct{ PID int }
			raw, err := os.ReadFile(file)
			if err == nil && json.Unmarshal(raw, &record) == nil && record.PID > 1 {
				_ = syscall.Kill(record.PID, syscall.SIGKILL)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
