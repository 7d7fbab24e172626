package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/api/v1alpha1/admission"
	"github.com/refloat-dev/refloat/deploy"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// roles are the accesses to the management cluster that the controller works with, one
// for each kind of thing that it does.
type roles struct {
	// own may act as the others and hold the lease of the leader.
	own *rest.Config
	// planner reads and records, applier creates, destroyer deletes, scheduler orders runs.
	planner, applier, destroyer, scheduler *rest.Config
}

// rolesOf an access. Without a namespace of the accounts all of them are that access.
func rolesOf(own *rest.Config, accountsIn string) roles {
	if accountsIn == "" {
		return roles{own, own, own, own, own}
	}
	return roles{
		own:       own,
		planner:   actingAs(own, accountsIn, deploy.Planner),
		applier:   actingAs(own, accountsIn, deploy.Applier),
		destroyer: actingAs(own, accountsIn, deploy.Destroyer),
		scheduler: actingAs(own, accountsIn, deploy.Scheduler),
	}
}

// actingAs a service account. The API server adds the groups that all accounts have.
func actingAs(own *rest.Config, namespace, account string) *rest.Config {
	config := rest.CopyConfig(own)
	config.Impersonate = rest.ImpersonationConfig{UserName: accountName(namespace, account)}
	return config
}

func accountName(namespace, account string) string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", namespace, account)
}

// controllerUser is who the sandbox's controller is: the service account by name and
// groups, with a certificate instead of a token, as nobody hands tokens out there.
func controllerUser() controlplane.User {
	return controlplane.User{
		Name:   accountName(deploy.Namespace, deploy.Controller),
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + deploy.Namespace},
	}
}

// managementRules are the policies and rights that deploy/ gives a management cluster.
func managementRules() ([]*unstructured.Unstructured, error) {
	policies, err := admission.All()
	if err != nil {
		return nil, err
	}
	access, err := deploy.Access()
	if err != nil {
		return nil, err
	}
	return append(policies, access...), nil
}
