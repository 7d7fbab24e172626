package capi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/utils/ptr"
)

const (
	// LabelAccess marks the accounts and rights that Lend makes in a workload cluster.
	LabelAccess = "refloat.dev/access"
	// annotationRights of an account is the digest of the rights that it was made with.
	annotationRights = "refloat.dev/rights"
	// lenderManager owns their fields.
	lenderManager = "refloat-access"

	// tokenLife of what is lent; it is renewed when four fifths of it are over.
	tokenLife = time.Hour
	// rightsEvery and rightsWithin are how often and how long new rights are asked for: an
	// API server learns of them a moment after they were written, and announces nothing.
	rightsEvery  = 10 * time.Millisecond
	rightsWithin = 10 * time.Second
)

// Lend returns access to a workload cluster as the service account of a role there,
// instead of the administrator's that Connect returns. The account is made when it is
// missing. Tokens last an hour and are renewed, so the administrator's credentials are
// used for nothing else. The caller has proven that it is the right cluster.
func (c *Clusters) Lend(ctx context.Context, admin *rest.Config, role Role) (*rest.Config, error) {
	rights, ok := roles[role]
	if !ok {
		return nil, &RefusedError{Reason: "UnknownRole", Message: fmt.Sprintf("there is no role %q in a workload cluster", role)}
	}
	bounded := rest.CopyConfig(admin)
	bounded.Timeout = probeTimeout
	access, err := kubernetes.NewForConfig(bounded)
	if err != nil {
		return nil, &NotReadyError{Reason: "BadCredentials", Message: "the kubeconfig's credentials cannot be used"}
	}
	l := &lender{access: access, role: role, rights: rights, now: c.Clock.Now}
	made, err := l.ensure(ctx)
	if err != nil {
		return nil, l.failed(admin, "make", err)
	}
	lent := rest.AnonymousClientConfig(admin)
	lent.QPS, lent.UserAgent = -1, "refloat"
	lent.WrapTransport = transport.ResettableTokenSourceWrapTransport(transport.NewCachedTokenSource(l))
	if !made {
		return lent, nil
	}
	if err := l.await(ctx, lent); err != nil {
		return nil, l.failed(admin, "use", err)
	}
	return lent, nil
}

// lender makes one account and its tokens.
type lender struct {
	access kubernetes.Interface
	role   Role
	rights rights
	now    func() time.Time
}

func (l *lender) failed(admin *rest.Config, verb string, err error) error {
	return &NotReadyError{Reason: "NoAccess", Message: fmt.Sprintf("cannot %s the service account kube-system/%s at %s: %s", verb, l.role, admin.Host, oneLine(err.Error()))}
}

// ensure that the account is there with the rights of this version of Refloat. It is
// written last: where it is, the rest is.
func (l *lender) ensure(ctx context.Context) (made bool, err error) {
	digest := l.rights.digest()
	accounts := l.access.CoreV1().ServiceAccounts(metav1.NamespaceSystem)
	found, err := accounts.Get(ctx, string(l.role), metav1.GetOptions{})
	if err == nil && found.Annotations[annotationRights] == digest {
		return false, nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return false, err
	}
	o := metav1.ApplyOptions{FieldManager: lenderManager, Force: true}
	labels := map[string]string{LabelAccess: "true"}
	rbac := l.access.RbacV1()
	if len(l.rights.rules) > 0 {
		role := rbacv1ac.ClusterRole(string(l.role)).WithLabels(labels)
		for _, r := range l.rights.rules {
			role.WithRules(rbacv1ac.PolicyRule().WithAPIGroups(r.APIGroups...).WithResources(r.Resources...).
				WithResourceNames(r.ResourceNames...).WithVerbs(r.Verbs...))
		}
		if _, err := rbac.ClusterRoles().Apply(ctx, role, o); err != nil {
			return false, err
		}
	}
	binding := rbacv1ac.ClusterRoleBinding(string(l.role)).WithLabels(labels).
		WithRoleRef(rbacv1ac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(l.rights.bound(l.role))).
		WithSubjects(rbacv1ac.Subject().WithKind(rbacv1.ServiceAccountKind).WithName(string(l.role)).WithNamespace(metav1.NamespaceSystem))
	if _, err := rbac.ClusterRoleBindings().Apply(ctx, binding, o); err != nil {
		return false, err
	}
	account := corev1ac.ServiceAccount(string(l.role), metav1.NamespaceSystem).WithLabels(labels).
		WithAnnotations(map[string]string{annotationRights: digest}).WithAutomountServiceAccountToken(false)
	_, err = accounts.Apply(ctx, account, o)
	return true, err
}

// await the moment when the API server knows of new rights.
func (l *lender) await(ctx context.Context, lent *rest.Config) error {
	bounded := rest.CopyConfig(lent)
	bounded.Timeout = probeTimeout
	account, err := kubernetes.NewForConfig(bounded)
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, rightsEvery, rightsWithin, true, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: l.rights.proof.DeepCopy()}}
		answer, err := account.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if apierrors.IsUnauthorized(err) {
			return false, nil // it does not know of the account itself yet
		}
		return err == nil && answer.Status.Allowed, err
	})
}

// Token implements oauth2.TokenSource.
func (l *lender) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLife / time.Second))}}
	asked := l.now()
	answer, err := l.access.CoreV1().ServiceAccounts(metav1.NamespaceSystem).CreateToken(ctx, string(l.role), request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask for a token of kube-system/%s: %w", l.role, err)
	}
	// The server may grant less or more; its clock is not trusted.
	granted := time.Duration(ptr.Deref(answer.Spec.ExpirationSeconds, 0)) * time.Second
	return &oauth2.Token{AccessToken: answer.Status.Token, Expiry: asked.Add(granted * 4 / 5)}, nil
}

// digest of the rights, which changes when a version of Refloat needs others.
func (r rights) digest() string {
	raw, err := json.Marshal(struct {
		Rules []rbacv1.PolicyRule
		Bound string
	}{r.rules, r.to})
	if err != nil {
		return "" // cannot be: plain strings
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
