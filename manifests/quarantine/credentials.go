package quarantine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// identities are annotations by which a ServiceAccount or a pod gets an identity in a cloud.
var identities = []string{
	"eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account", "azure.workload.identity/client-id", "azure.workload.identity/tenant-id",
	"azure.workload.identity/use", "alibabacloud.com/role-name", "pod-identity.alibabacloud.com/role-name",
	"iam.amazonaws.com/role", "aadpodidbinding",
}

// secretNames are environment variables, or keys of Secrets, that hold credentials of a
// cloud. Those of AWS and Azure are known by how they begin.
var secretNames = []string{
	"google_application_credentials", "google_credentials", "google_backend_credentials", "cloudsdk_auth_access_token",
	"arm_client_id", "arm_client_secret", "cf_api_token", "cf_api_key", "cloudflare_api_token", "cloudflare_api_key", "do_token", "digitalocean_token",
	"digitalocean_access_token", "hcloud_token", "hetzner_token", "linode_token", "vultr_api_key", "scw_secret_key", "civo_token", "exoscale_api_secret",
	"ovh_application_secret", "alicloud_secret_key", "alibaba_cloud_access_key_secret", "tencentcloud_secret_key", "oci_private_key",
	"os_password", "os_application_credential_secret", "vsphere_password", "ns1_apikey", "infoblox_wapi_password",
}

// secretPrefixes of such names. A program that is told its region needs no key to be let
// in: the node's own identity does.
var secretPrefixes = []string{"aws_", "azure_"}

// secretFiles are keys of Secrets, mounted as files, by which clouds call theirs.
var secretFiles = []string{
	"credentials.json", "key.json", "gcp.json", "gcp-credentials.json", "service-account.json", "service_account.json", "azure.json",
	"cloud.conf", "clouds.yaml", "clouds.yml", "cloud", "credentials", "aws-credentials", "awscredentials", "creds",
}

// audiences of tokens that clouds take for credentials.
var audiences = []string{"sts.amazonaws.com", "api://AzureADTokenExchange", "iam.googleapis.com", "sts.aliyuncs.com"}

// telling tells whether a name is that of a credential.
func telling(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	return slices.Contains(secretNames, name) ||
		slices.ContainsFunc(secretPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// tellingKey tells whether a key of a Secret is that of a credential.
func tellingKey(key string) bool {
	return telling(key) || slices.Contains(secretFiles, strings.ToLower(key))
}

// credentials says in which way a workload has an identity in a cloud; empty when in none
// that can be seen. It never says more of a Secret than the name of its key.
func (q *quarantine) credentials(w *workload) string {
	account := w.account()
	if i, ok := q.index[account]; ok {
		for _, key := range identities {
			if named(q.objects[i].Object, key) {
				return fmt.Sprintf("has a cloud identity through ServiceAccount %s (%s)", account.Name, key)
			}
		}
	}
	for _, key := range identities {
		if has(w.annotations, key) || has(w.podLabels, key) {
			return fmt.Sprintf("has a cloud identity through %s of its pods", key)
		}
	}
	for _, c := range w.containers() {
		if why := q.environment(w.id.Namespace, c); why != "" {
			return why
		}
	}
	return q.volumes(w)
}

// named tells whether an object has an annotation or a label, whatever its value is.
func named(object map[string]any, key string) bool {
	_, annotated := mapping(object, "metadata", "annotations")[key]
	_, labelled := mapping(object, "metadata", "labels")[key]
	return annotated || labelled
}

// environment of a container that holds credentials.
func (q *quarantine) environment(namespace string, c map[string]any) string {
	for _, e := range list(c, "env") {
		if name := str(e, "name"); telling(name) {
			return fmt.Sprintf("has cloud credentials in %s of container %s", name, str(c, "name"))
		}
	}
	for _, e := range list(c, "envFrom") {
		prefix := str(e, "prefix")
		for _, ref := range []manifests.ID{
			{Kind: "Secret", Namespace: namespace, Name: str(e, "secretRef", "name")},
			{Kind: "ConfigMap", Namespace: namespace, Name: str(e, "configMapRef", "name")},
		} {
			for _, key := range q.keys(ref) {
				if telling(prefix + key) {
					return fmt.Sprintf("has cloud credentials in %s of %s, which is the environment of container %s", key, ref, str(c, "name"))
				}
			}
		}
	}
	return ""
}

// volumes of a workload that hold credentials.
func (q *quarantine) volumes(w *workload) string {
	for _, v := range list(w.pod, "volumes") {
		secrets := []string{str(v, "secret", "secretName")}
		for _, source := range list(v, "projected", "sources") {
			secrets = append(secrets, str(source, "secret", "name"))
			audience := str(source, "serviceAccountToken", "audience")
			if slices.ContainsFunc(audiences, func(a string) bool { return strings.Contains(audience, a) }) {
				return fmt.Sprintf("has a cloud identity through a token for %s in volume %s", audience, str(v, "name"))
			}
		}
		for _, name := range secrets {
			ref := manifests.ID{Kind: "Secret", Namespace: w.id.Namespace, Name: name}
			for _, key := range q.keys(ref) {
				if tellingKey(key) {
					return fmt.Sprintf("has cloud credentials in %s of %s, which is volume %s", key, ref, str(v, "name"))
				}
			}
		}
	}
	return ""
}

// keys of a Secret or ConfigMap of the state, or of a seed, sorted.
func (q *quarantine) keys(id manifests.ID) []string {
	keys := slices.Clone(q.o.Seeds[id])
	if i, ok := q.index[id]; ok && id.Name != "" {
		for _, field := range []string{"data", "stringData"} {
			for key := range mapping(q.objects[i].Object, field) {
				keys = append(keys, key)
			}
		}
		// An ExternalSecret or SealedSecret says beside it what it will hold.
	}
	for _, made := range []manifests.ID{
		{Group: "bitnami.com", Kind: "SealedSecret", Namespace: id.Namespace, Name: id.Name},
	} {
		if i, ok := q.index[made]; ok && id.Kind == "Secret" {
			for key := range mapping(q.objects[i].Object, "spec", "encryptedData") {
				keys = append(keys, key)
			}
		}
	}
	if i, ok := q.index[manifests.ID{Group: "external-secrets.io", Kind: "ExternalSecret", Namespace: id.Namespace, Name: id.Name}]; ok && id.Kind == "Secret" {
		for _, d := range list(q.objects[i].Object, "spec", "data") {
			keys = append(keys, str(d, "secretKey"))
		}
	}
	slices.Sort(keys)
	return keys
}

// disarm takes the credentials out of the environment of a workload's containers.
func (q *quarantine) disarm(w *workload) {
	q.edit(w.at)
	pod := workloadOf(q.objects[w.at], w.at).pod
	for _, kind := range []string{"initContainers", "containers"} {
		for _, c := range list(pod, kind) {
			all, _ := c["env"].([]any)
			kept := slices.DeleteFunc(slices.Clone(all), func(e any) bool {
				entry, _ := e.(map[string]any)
				return telling(str(entry, "name"))
			})
			if len(kept) < len(all) {
				c["env"] = kept
			}
		}
	}
}

// deepest nesting that is searched; the API server takes no deeper one either.
const deepest = 64

// armed names an environment variable with credentials somewhere in a custom object, from
// which an operator makes pods that no rule sees; empty when there is none, or when nothing
// acts on the object.
func (q *quarantine) armed(i int) string {
	o := q.objects[i]
	gk := o.ID().GroupKind()
	if builtin.Lookup(gk) != nil || workloadOf(o, i) != nil {
		return ""
	}
	for _, p := range q.still {
		if p.acts(gk) {
			return ""
		}
	}
	return armedIn(o.Object, deepest)
}

func armedIn(v any, depth int) string {
	if depth == 0 {
		return ""
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if key == "env" || key == "extraEnv" || key == "extraEnvs" {
				for _, e := range list(v, key) {
					if name := str(e, "name"); telling(name) {
						return name
					}
				}
			}
			if found := armedIn(v[key], depth-1); found != "" {
				return found
			}
		}
	case []any:
		for _, item := range v {
			if found := armedIn(item, depth-1); found != "" {
				return found
			}
		}
	}
	return ""
}

// accounts takes the identities from ServiceAccounts that nothing needs which runs as the
// repository has it: those of stopped and disarmed controllers, and those that nobody uses
// here, which an operator may give to pods that no rule sees.
func (q *quarantine) accounts() {
	needed := map[manifests.ID]bool{}
	for _, w := range q.pods {
		if w.fate == disarmed {
			q.disarm(w)
		}
		if w.fate == allowed || w.fate == serves {
			needed[w.account()] = true
		}
	}
	for i, o := range q.objects {
		id := o.ID()
		if id.Kind != "ServiceAccount" || id.Group != "" || needed[id] || q.exception(id) != nil {
			continue
		}
		for _, key := range identities {
			if q.drop(i, "metadata", "annotations", key) || q.drop(i, "metadata", "labels", key) {
				q.record(i, "CloudIdentity", "loses "+key, "nothing that runs in the drill needs it")
			}
		}
	}
}
