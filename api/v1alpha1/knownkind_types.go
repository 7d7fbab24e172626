package v1alpha1

// KnownKind is a kind that somebody else defines.
type KnownKind struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// ClusterScoped objects are in no namespace.
	//
	// +optional
	ClusterScoped bool `json:"clusterScoped,omitempty"`
}
