package drain

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestWants(t *testing.T) {
	for name, test := range map[string]struct {
		object string
		want   []Wanted
	}{
		"a fixed address": {
			"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer, loadBalancerIP: 192.0.2.1}}",
			[]Wanted{{LoadBalancer, "192.0.2.1", "spec.loadBalancerIP"}},
		},
		"any address":      {"{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}", nil},
		"no load balancer": {"{apiVersion: v1, kind: Service, spec: {type: ClusterIP, loadBalancerIP: 192.0.2.1}}", nil},
		"by annotation": {
			`{apiVersion: v1, kind: Service, metadata: {annotations: {metallb.io/loadBalancerIPs: "192.0.2.1, 2001:db8::1,"}}, spec: {type: LoadBalancer}}`,
			[]Wanted{{LoadBalancer, "192.0.2.1", "the annotation metallb.io/loadBalancerIPs"}, {LoadBalancer, "2001:db8::1", "the annotation metallb.io/loadBalancerIPs"}},
		},
		"a gateway": {
			"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, spec: {addresses: [{type: IPAddress, value: 192.0.2.1}, {type: Hostname}], listeners: [{hostname: shop.example.com}]}}",
			[]Wanted{{LoadBalancer, "192.0.2.1", "spec.addresses"}},
		},
		"a gateway of another group": {"{apiVersion: networking.istio.io/v1, kind: Gateway, spec: {addresses: [{value: 192.0.2.1}]}}", nil},
		"names are taken over": {
			"{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {annotations: {external-dns.alpha.kubernetes.io/hostname: shop.example.com}}, spec: {rules: [{host: shop.example.com}]}}", nil,
		},
		"a volume": {
			"{apiVersion: v1, kind: PersistentVolume, spec: {csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}}}",
			[]Wanted{{Volume, "ebs.csi.aws.com vol-1", "the volume's source"}},
		},
		"a volume on a node": {"{apiVersion: v1, kind: PersistentVolume, spec: {hostPath: {path: /data}}}", nil},
		"malformed service":  {"{apiVersion: v1, kind: Service, spec: [LoadBalancer]}", nil},
		"malformed gateway":  {"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, spec: {addresses: {value: 192.0.2.1}}}", nil},
		"malformed volume":   {"{apiVersion: v1, kind: PersistentVolume, spec: {csi: vol-1}}", nil},
	} {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(test.object), &u.Object); err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(test.want, Wants(u)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		kind, a, b string
		want       bool
	}{
		{LoadBalancer, "192.0.2.1", "192.0.2.1", true},
		{LoadBalancer, "192.0.2.1", "192.0.2.10", false},
		{LoadBalancer, "2001:db8::1", "2001:0DB8:0::1", true},
		{LoadBalancer, "::ffff:192.0.2.1", "192.0.2.1", true},
		{LoadBalancer, "LB.example.com.", "lb.example.com", true},
		{Volume, "d Vol-1", "d vol-1", false},
	} {
		if got := Same(test.kind, test.a, test.b); got != test.want {
			t.Errorf("%s %q and %q: %t", test.kind, test.a, test.b, got)
		}
	}
}
