package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/recovery/controller"
	"github.com/refloat-dev/refloat/recovery/report"
)

// Exit codes of verify and certificate check: 0 match, 1 differs, 2 could not tell.
const (
	exitDiffers      = 1
	exitCouldNotTell = 2
)

type verifyOptions struct {
	thorough    bool
	stableFor   time.Duration
	signingKey  string
	certificate string
	allowExtra  bool
	target      targetOptions
	output      outputFormat
}

func newVerifyCommand(t terminal, a *access) *cobra.Command {
	o := &verifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify PLAN | --target-kubeconfig FILE --git DIR --path PATH",
		Short: "Compare a live cluster with the commit it was made from",
		Long: `Compare the live cluster of a plan with the commit that it was made from, by a rebuild, a
failover or a failback, object by object, from fresh reads: is every rendered object there, as
rendered and healthy, and is anything there that the repository does not have? What
differs is named with who changed it and when, as far as the cluster records it; what
a rule of the repository exempts is listed with the rule.

With --target-kubeconfig, any cluster is compared with any repository, without a plan.

With --signing-key, the outcome is signed, whatever it is: 'refloat certificate check'
tells what such a file certifies.

Exit codes: 0 the cluster matches; 1 it differs, or has objects that are not in the
repository; 2 it could not be told.`,
		Args: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.target.kubeconfig != "") || len(args) > 1 {
				return usageError("name either a plan ('refloat get plans' lists them) or a cluster with --target-kubeconfig")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := o.key()
			if err != nil {
				return err
			}
			name := "cluster"
			var v *controller.Verified
			if o.target.kubeconfig != "" {
				v, err = o.verifyTarget(cmd.Context(), t, key)
			} else {
				name = args[0]
				v, err = o.verifyPlan(cmd.Context(), t, a, name, key)
			}
			if exit := (*exitError)(nil); err != nil && !errors.As(err, &exit) {
				err = &exitError{code: exitCouldNotTell, err: fmt.Errorf("could not tell: %w", err)}
			}
			if err != nil {
				return err
			}
			err = o.tell(t, name, v)
			if exit := (*exitError)(nil); err != nil && !errors.As(err, &exit) {
				err = &exitError{code: exitCouldNotTell, err: fmt.Errorf("print the outcome: %w", err)}
			}
			return err
		},
	}
	flags := cmd.Flags()
	o.target.addFlags(flags)
	flags.BoolVar(&o.allowExtra, "allow-extra", false, "objects that are not in the repository are listed, but are no difference")
	flags.BoolVar(&o.thorough, "thorough", false, "ask the API server about every object (a server-side dry run each)")
	flags.DurationVar(&o.stableFor, "stable-for", 0, "how long every object has to stay healthy")
	flags.StringVar(&o.signingKey, "signing-key", "", "file with a private key (PEM, PKCS #8; Ed25519 or ECDSA P-256) to sign a certificate with")
	flags.StringVar(&o.certificate, "certificate", "", "file to write the certificate to (default PLAN.certificate.json)")
	o.output.addFlag(flags)
	return cmd
}

// key to sign with; nil when none is asked for.
func (o *verifyOptions) key() (*certificate.SigningKey, error) {
	switch {
	case o.stableFor < 0:
		return nil, usageError("--stable-for must not be negative")
	case o.certificate != "" && o.signingKey == "":
		return nil, usageError("--certificate needs --signing-key")
	case o.signingKey == "":
		return nil, nil
	}
	text, err := readSmall(o.signingKey)
	if err != nil {
		return nil, usageError("--signing-key: %w", err)
	}
	key, err := certificate.ParseSigningKey(text)
	if err != nil {
		return nil, usageError("--signing-key %s: %w", o.signingKey, err)
	}
	return key, nil
}

func (o *verifyOptions) verifyPlan(ctx context.Context, t terminal, a *access, plan string, key *certificate.SigningKey) (*controller.Verified, error) {
	c, namespace, err := a.connect()
	if err != nil {
		return nil, err
	}
	cache, err := userCache()
	if err != nil {
		return nil, err
	}
	return controller.VerifyPlan(ctx, c, controller.VerifyOptions{
		Engine:    controller.NewEngine(controller.EngineOptions{CacheDir: cache, Version: buildVersion()}),
		Namespace: namespace, Plan: plan, Thorough: o.thorough, StableFor: o.stableFor, Key: key, Tell: teller(t.Err),
		Note: func(note string) { say(t.Err, "note: %s", note) },
	})
}

// teller says each thing that is waited for once.
func teller(w io.Writer) func(controller.ApplyProgress) {
	said := ""
	return func(p controller.ApplyProgress) {
		if p.Waiting != said {
			said = p.Waiting
			say(w, "waiting for %s", p.Waiting)
		}
	}
}

// tell the outcome, and the exit code by it.
func (o *verifyOptions) tell(t terminal, name string, v *controller.Verified) error {
	if len(v.Certificate) > 0 {
		file := o.certificate
		if file == "" {
			file = name + ".certificate.json"
		}
		if err := writeWhole(file, v.Certificate); err != nil {
			return &exitError{code: exitCouldNotTell, err: fmt.Errorf("write the certificate: %w", err)}
		}
		say(t.Err, "certificate written to %s", file)
	}
	var err error
	if o.output.structured() {
		err = o.output.write(t.Out, verifiedOutput{Matches: v.Matches(), Verification: v.Verification, Certificate: v.Certificate})
	} else {
		err = printVerification(t.Out, v.Verification)
	}
	if err == nil && (!v.Matches() || v.Extra > 0 && !o.allowExtra) {
		return &exitError{code: exitDiffers}
	}
	return err
}

// verifiedOutput is the structured form; its fields are those of the report, too.
type verifiedOutput struct {
	Matches bool `json:"matches"`
	*report.Verification
	Certificate json.RawMessage `json:"certificate,omitempty"`
}

// userCache is where fetched commits are kept between commands.
func userCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(dir, "refloat", "git"), nil
}

func printVerification(w io.Writer, v *report.Verification) error {
	var b bytes.Buffer
	b.WriteString(v.Summary() + "\n")
	for _, group := range []struct {
		word     string
		findings []report.Finding
	}{
		{"missing", v.Details.Missing}, {"changed", v.Details.Changed}, {"extra", v.Details.Extra},
		{"unhealthy", v.Details.Unhealthy}, {"not provable", v.Details.NotProvable},
		{"weak", v.Details.Weak}, {"exempt", v.Details.Exempt},
	} {
		for _, f := range group.findings {
			fmt.Fprintf(&b, "%-12s  %s", group.word, f.ID)
			if f.Origin != "" {
				fmt.Fprintf(&b, "  (%s)", f.Origin)
			}
			if detail := f.Explained(); detail != "" {
				b.WriteString(": " + detail)
			}
			b.WriteByte('\n')
		}
	}
	for _, g := range v.Others {
		fmt.Fprintf(&b, "%-12s  %d not in the repository: %s\n", g.Class, g.Count, g.Reason)
	}
	_, err := w.Write(b.Bytes())
	return err
}
