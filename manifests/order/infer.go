package order

import (
	"cmp"
	"slices"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

// infer adds the soft edges, which are read off the objects' own fields.
func (b *builder) infer() {
	workloads := b.findWorkloads()
	for _, w := range workloads {
		b.podReferences(w)
	}
	b.accounts()
	b.permissions(workloads)
	b.storage()
	b.ingresses()
	x := newLabelIndex(b.set, workloads)
	b.governance(x)
	if !b.simulated {
		b.backends(x)
		b.conversions(x)
		b.interceptions(workloads)
	}
}

// accounts wait for the Secrets with which their pods pull images.
func (b *builder) accounts() {
	for _, i := range b.byKind[serviceAccountKind] {
		it := b.items[i]
		for _, s := range list(it.Unstructured.Object, "imagePullSecrets") {
			b.prefer(i, b.find(secretKind, it.id.Namespace, str(s, "name")), Applied, reference, "pulls images with it")
		}
	}
}

func (b *builder) storage() {
	for _, i := range b.byKind[claimKind] {
		spec, _ := field(b.items[i].Unstructured.Object, "spec").(map[string]any)
		if class, _ := builtin.ClaimClass(b.items[i].Unstructured.Object); class != "" {
			b.prefer(i, b.find(storageClassKind, "", class), Applied, reference, "claims storage of it")
		}
		if volume := str(spec, "volumeName"); volume != "" {
			b.prefer(i, b.find(volumeKind, "", volume), Applied, reference, "claims this volume")
		}
	}
}

func (b *builder) ingresses() {
	for _, i := range b.byKind[ingressKind] {
		it := b.items[i]
		class := cmp.Or(str(it.Unstructured.Object, "spec", "ingressClassName"), it.GetAnnotations()["kubernetes.io/ingress.class"])
		if class != "" {
			b.prefer(i, b.find(ingressClassKind, "", class), Applied, reference, "has this class")
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
