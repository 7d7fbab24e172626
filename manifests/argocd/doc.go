// Package argocd reads what a repository declares for Argo CD and says it in the
// neutral words of package manifests.
//
//	RulesOf       the annotations of one object            -> rules
//	ReadSettings  argocd-cm, cluster Secrets, AppProjects  -> settings
//	Application   one definition                           -> a unit and its objects
//	ApplicationSet one definition                          -> Applications
//	Gates         the waves of one unit                    -> what the units below it wait for
//
// Nothing is rendered here: a Renderer, given by the caller, turns files, kustomizations
// and charts into objects. Nothing is executed, and what a template may cost is bounded.
//
// Argo CD's own types are not imported: they bring half of Kubernetes with them. Only
// the fields that say something about a fresh cluster are decoded.
package argocd

// Group of Argo CD's own kinds.
const Group = "argoproj.io"

// Kinds of Group that are read here.
const (
	KindApplication    = "Application"
	KindApplicationSet = "ApplicationSet"
	KindAppProject     = "AppProject"
)

// Manager is the field manager under which Argo CD applies. Objects of its units are
// written under it, so that it adopts them without conflict.
const Manager = "argocd-controller"

// Annotations that Argo CD reads or writes.
const (
	annotationWave           = "argocd.argoproj.io/sync-wave"
	annotationHook           = "argocd.argoproj.io/hook"
	annotationHookDelete     = "argocd.argoproj.io/hook-delete-policy"
	annotationSyncOptions    = "argocd.argoproj.io/sync-options"
	annotationIgnoreHealth   = "argocd.argoproj.io/ignore-healthcheck"
	annotationSkipReconcile  = "argocd.argoproj.io/skip-reconcile"
	annotationTracking       = "argocd.argoproj.io/tracking-id"
	annotationInstallation   = "argocd.argoproj.io/installation-id"
	annotationHelmHook       = "helm.sh/hook"
	annotationHelmWeight     = "helm.sh/hook-weight"
	annotationHelmHookDelete = "helm.sh/hook-delete-policy"
)
