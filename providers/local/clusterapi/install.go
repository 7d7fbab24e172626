package clusterapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// digestAnnotation tells whether an installed definition is the one to install,
// without comparing what the API server made of it.
const digestAnnotation = "refloat.dev/installed-digest"

// inParallel bounds the definitions that are installed at once: the API server
// compiles a schema for each.
const inParallel = 4

// Install creates or updates definitions and returns once all are established.
func Install(ctx context.Context, config *rest.Config, definitions []*apiextensionsv1.CustomResourceDefinition) error {
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("install definitions: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(inParallel)
	for _, d := range definitions {
		group.Go(func() error {
			if err := install(groupCtx, client.CustomResourceDefinitions(), d); err != nil {
				return fmt.Errorf("install definition %s: %w", d.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func install(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, definition *apiextensionsv1.CustomResourceDefinition) error {
	wanted := definition.DeepCopy()
	spec, err := json.Marshal(wanted.Spec)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(spec)
	digest := hex.EncodeToString(sum[:])
	metav1.SetMetaDataAnnotation(&wanted.ObjectMeta, digestAnnotation, digest)

	live, err := client.Create(ctx, wanted, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		if live, err = client.Get(ctx, wanted.Name, metav1.GetOptions{}); err == nil && live.Annotations[digestAnnotation] != digest {
			wanted.ResourceVersion = live.ResourceVersion
			live, err = client.Update(ctx, wanted, metav1.UpdateOptions{})
		}
	}
	if err != nil || established(live) {
		return err
	}
	return awaitEstablished(ctx, client, wanted.Name)
}

func awaitEstablished(ctx context.Context, client apiextensions.CustomResourceDefinitionInterface, name string) error {
	selector := fields.OneTermEqualSelector("metadata.name", name).String()
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return client.Watch(ctx, o)
		},
	}
	var last *apiextensionsv1.CustomResourceDefinition
	_, err := watchtools.UntilWithSync(ctx, source, &apiextensionsv1.CustomResourceDefinition{}, nil, func(e watch.Event) (bool, error) {
		crd, ok := e.Object.(*apiextensionsv1.CustomResourceDefinition)
		if !ok || e.Type == watch.Deleted {
			return false, fmt.Errorf("it was deleted by somebody else")
		}
		last = crd
		return established(crd), nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("wait until it is established: %w (conditions: %s)", err, conditions(last))
	}
	return err
}

func established(crd *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range crd.Status.Conditions {
		if c.Type == apiextensionsv1.Established {
			return c.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

func conditions(crd *apiextensionsv1.CustomResourceDefinition) string {
	var words []string
	for _, c := range crd.Status.Conditions {
		words = append(words, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Message))
	}
	return strings.Join(words, "; ")
}
