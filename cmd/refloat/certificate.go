package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/refloat-dev/refloat/manifests/certificate"
)

func newCertificateCommand(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Check certificates of verified clusters",
		Args:  noArgsOr("a command"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertificateCheckCommand(t))
	return cmd
}

func newCertificateCheckCommand(t terminal) *cobra.Command {
	var output outputFormat
	var key string
	cmd := &cobra.Command{
		Use:   "check FILE --key FILE",
		Short: "Check the signature of a certificate and print what it certifies",
		Long: `Check the signature of a certificate with the public key, and print what it certifies.
No cluster is needed.

Exit codes: 0 it is signed by the key and certifies a match; 1 it is not signed by the
key, or certifies that the cluster differs; 2 it could not be told.`,
		Args: oneArg("the file with the certificate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return usageError("--key is missing: the file with the public key (PEM)")
			}
			text, err := readSmall(key)
			if err != nil {
				return usageError("--key: %w", err)
			}
			public, err := certificate.ParseVerifyingKey(text)
			if err != nil {
				return usageError("--key %s: %w", key, err)
			}
			envelope, err := readSmall(args[0])
			if err != nil {
				return usageError("read the certificate: %w", err)
			}
			s, err := certificate.Open(cmd.Context(), envelope, public)
			if err != nil {
				code := exitCouldNotTell
				if errors.Is(err, certificate.ErrSignature) {
					code = exitDiffers
				}
				return &exitError{code: code, err: err}
			}
			if output.structured() {
				err = output.write(t.Out, s)
			} else {
				err = printCertificate(t.Out, s, public.ID())
			}
			if err == nil && s.Predicate.Verdict != certificate.Matches {
				return &exitError{code: exitDiffers}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "file with the public key (PEM)")
	output.addFlag(cmd.Flags())
	return cmd
}

func printCertificate(w io.Writer, s *certificate.Statement, key string) error {
	p := s.Predicate
	var b bytes.Buffer
	verdict := "the cluster MATCHES the commit"
	if p.Verdict != certificate.Matches {
		verdict = "the cluster DIFFERS from the commit"
	}
	fmt.Fprintf(&b, "Signed by key %s:\n%s\n\n", key, verdict)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	if p.Cluster.Name != "" {
		row("cluster", p.Cluster.Namespace+"/"+p.Cluster.Name)
	}
	row("cluster UID", p.Cluster.UID)
	row("kube-system UID", p.Cluster.KubeSystemUID)
	if p.Cluster.Simulated {
		row("simulated", "yes: no container ran")
	}
	row("repository", p.Repository.URL)
	row("commit", p.Repository.Commit)
	if p.Repository.CommitTime != nil {
		row("committed", p.Repository.CommitTime.UTC().Format(time.RFC3339))
	}
	row("render SHA-256", p.Repository.RenderDigest)
	row("live SHA-256", p.LiveDigest)
	row("plan", p.Plan)
	row("run", p.Run)
	row("mode", string(p.Mode))
	if p.StableSeconds > 0 {
		row("stable for", fmt.Sprintf("%.0fs", p.StableSeconds))
	}
	row("verified", p.FinishedAt.UTC().Format(time.RFC3339))
	row("by Refloat", p.RefloatVersion)
	c := p.Counts
	row("objects", fmt.Sprintf("%d of %d match, %d need not exist; %d missing, %d changed, %d extra, %d unhealthy; %d exemptions, %d weak, %d not provable",
		c.Matched, c.Rendered, c.Skipped, c.Missing, c.Changed, c.Extra, c.Unhealthy, c.Exempt, c.Weak, c.NotProvable))
	_ = table.Flush() // a bytes.Buffer takes everything
	for _, list := range []struct {
		name  string
		items []certificate.Item
	}{{"exempt", p.Exempt}, {"weak", p.Weak}, {"not provable", p.NotProvable}, {"extra", p.Extra}} {
		for _, i := range list.items {
			line := list.name + "  " + i.Object + ": " + i.Detail
			if i.Rule != "" {
				line += " (by rule: " + i.Rule + ")"
			}
			b.WriteString(line + "\n")
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// maxSmallFile bounds keys and certificates, in bytes.
const maxSmallFile = 4 << 20

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSmallFile {
		return nil, fmt.Errorf("%s has more than %d bytes", file, maxSmallFile)
	}
	return data, nil
}

// writeWhole writes a file whole or not at all.
func writeWhole(file string, content []byte) error {
	if err := os.WriteFile(file+".next", content, 0o600); err != nil {
		if failed, ok := errors.AsType[*fs.PathError](err); ok {
			return failed.Err // nobody knows the name that it has until it is whole
		}
		return err
	}
	return os.Rename(file+".next", file)
}
