package v1alpha1

// ArgoCDPolicy is about the Argo CD that Applications are written for.
type ArgoCDPolicy struct {
	// Clusters are how it calls the cluster of this plan. Without any, that is the cluster
	// that it runs on.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Clusters []ArgoCDCluster `json:"clusters,omitempty"`
	// Namespace that it runs in. Without one, the state tells: by argocd-cm, AppProjects,
	// labelled Secrets or Applications.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`
}

// ArgoCDCluster is a cluster as destinations name it.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) || has(self.server)",message="needs a name or a server"
type ArgoCDCluster struct {
	// Name of the cluster, as in its Secret.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// Server is the address of its API, as in its Secret.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Server string `json:"server,omitempty"`
}
