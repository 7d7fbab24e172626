package argocd

import "os"

// environment substitutes $ARGOCD_APP_NAME and the like. A name that Argo CD does not
// set becomes nothing, and $$ is a dollar sign, as with Argo CD. Nothing of the real
// environment is read.
func (j *sourceJob) environment(text string) string {
	return os.Expand(text, func(name string) string {
		switch name {
		case "$":
			return "$"
		case "ARGOCD_APP_NAME":
			return j.instance()
		case "ARGOCD_APP_NAMESPACE":
			return j.app.Spec.Destination.Namespace
		case "ARGOCD_APP_PROJECT_NAME":
			return j.app.Spec.Project
		case "ARGOCD_APP_REVISION":
			return j.revision
		case "ARGOCD_APP_REVISION_SHORT":
			return short(j.revision, 7)
		case "ARGOCD_APP_REVISION_SHORT_8":
			return short(j.revision, 8)
		case "ARGOCD_APP_SOURCE_REPO_URL":
			return j.source.RepoURL
		case "ARGOCD_APP_SOURCE_PATH":
			return j.source.Path
		case "ARGOCD_APP_SOURCE_TARGET_REVISION":
			return j.source.TargetRevision
		}
		return ""
	})
}
