package capi_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/providers/capi"
)

func TestIsolated(t *testing.T) {
	cluster := "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}\nspec: {controlPlaneEndpoint: {host: api.example.com, port: 6443}}"
	infra := "apiVersion: infrastructure.cluster.x-k8s.io/v1beta2\nkind: FakeCluster\nmetadata: {name: dev}\nspec: "
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: "
	encoded := base64.StdEncoding.EncodeToString([]byte("server: https://api.example.com:6443"))
	for name, test := range map[string]struct {
		document string
		endpoint string
		want     string
	}{
		"nothing":                 {infra + "{a: b}", "api.example.com:6443", ""},
		"in a URL":                {infra + "{a: [{b: 'https://API.example.com:6443'}]}", "api.example.com:6443", "f:2: FakeCluster dev-drill: holds api.example.com"},
		"in a script":             {infra + "{a: 'echo 10.0.0.5 api >> /etc/hosts'}", "10.0.0.5:6443", "holds 10.0.0.5"},
		"at the end of words":     {infra + "{a: 'see api.example.com.'}", "api.example.com:6443", "holds"},
		"a longer number":         {infra + "{a: '10.0.0.55', b: '110.0.0.5'}", "10.0.0.5:6443", ""},
		"another name":            {infra + "{a: 'my-api.example.com', b: api.example.com.au, c: x.api.example.com}", "api.example.com:6443", ""},
		"second time whole":       {infra + "{a: 'x10.0.0.5 10.0.0.5'}", "10.0.0.5:6443", "holds"},
		"IPv6":                    {infra + "{a: 'https://[2001:db8::1]:6443'}", "[2001:db8::1]:6443", "holds"},
		"loopback":                {infra + "{a: 127.0.0.1}", "127.0.0.1:6443", ""},
		"no endpoint":             {infra + "{a: b}", "", ""},
		"in a Secret":             {secret + "x}\ndata: {a: " + encoded + "}", "api.example.com:6443", "Secret x-"},
		"authority by name":       {secret + "dev-ca}", "", "holds the ca of the cluster"},
		"renamed out of the way":  {secret + "other-etcd}\ntype: cluster.x-k8s.io/secret", "", ""},
		"service accounts":        {secret + "dev-sa}", "", "holds the sa"},
		"etcd":                    {secret + "dev-etcd}", "", "holds the etcd"},
		"front proxy":             {secret + "dev-proxy}\ntype: cluster.x-k8s.io/secret", "", "holds the proxy"},
		"kubeconfig":              {secret + "dev-kubeconfig}", "", "holds the kubeconfig"},
		"no authority":            {secret + "dev-cloud}", "", ""},
		"typed, of the new name":  {secret + "dev-drill-team-ca}\ntype: cluster.x-k8s.io/secret", "", "holds the ca"},
		"untyped, of other names": {secret + "corporate-ca}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := capi.Parse(decode(t, cluster, test.document), "dev", "fleet")
			if err != nil {
				t.Fatal(err)
			}
			err = m.Rename("dev-drill").Isolated(test.endpoint)
			var input *capi.InputError
			if test.want == "" && err != nil || test.want != "" && (!errors.As(err, &input) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), encoded) {
				t.Errorf("quotes a Secret: %v", err)
			}
		})
	}
}

func TestRefuseOlder(t *testing.T) {
	made := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		system  time.Time
		refused bool
	}{
		"after":       {made.Add(time.Minute), false},
		"within skew": {made.Add(-time.Minute), false},
		"before":      {made.Add(-time.Minute - time.Second), true},
		"unknown":     {time.Time{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := capi.RefuseOlder(capi.Observation{CreatedAt: made}, capi.Health{CreatedAt: test.system})
			var refused *capi.RefusedError
			if errors.As(err, &refused) != test.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}
